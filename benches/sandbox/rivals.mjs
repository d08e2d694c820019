// Pyodide in Node, measured: `rivals.mjs WAY < JOB`, with the protocol of `rivals.py`.
//
// All ways parse the trace, compile the eval and run it in Python, and read the answer as JSON here. Nothing of them is a
// wall: in Node, `import js` gives an eval the process that runs it.

import { readFileSync } from "node:fs";

const RUN = `
import json

def run(source, trace):
    module = {}
    exec(compile(source, "eval.py", "exec"), module)
    return json.dumps(module["evaluate"](json.loads(trace)))

run
`;

const ways = {
  // One interpreter for all calls: what one eval leaves behind, the next one finds.
  async warm({ loadPyodide }) {
    const run = (await loadPyodide()).runPython(RUN);
    return (job) => run(job.source, job.trace);
  },

  // `loadPyodide` for every call, in one Node process that is warm: the first load in a process takes 1.7 times as long.
  async fresh({ loadPyodide }) {
    return async (job) => (await loadPyodide()).runPython(RUN)(job.source, job.trace);
  },

  // The same from a snapshot of an interpreter at rest: an option that Pyodide's documentation leaves out.
  async snapshot({ loadPyodide }) {
    const snapshot = (await loadPyodide({ _makeSnapshot: true })).makeMemorySnapshot();
    return async (job) =>
      (await loadPyodide({ _loadSnapshot: snapshot })).runPython(RUN)(job.source, job.trace);
  },
};

// The answer as JSON, and the microseconds of each call, after a fifth as many that are not counted.
async function measure(call, job) {
  const answer = await call(job);
  for (let i = 0; i < Math.max(3, job.calls / 5); i++) await call(job);
  const times = [];
  for (let i = 0; i < job.calls; i++) {
    const start = performance.now();
    const again = await call(job);
    JSON.parse(again);
    times.push((performance.now() - start) * 1e3);
    if (again !== answer) throw new Error(`answered ${again} after ${answer}`);
  }
  return [answer, times];
}

const job = JSON.parse(readFileSync(0, "utf8"));
try {
  const pyodide = await import("pyodide");
  const [answer, times] = await measure(await ways[process.argv[2]](pyodide), job);
  const version = `${pyodide.version}, Node ${process.versions.node}`;
  console.log([JSON.stringify({ version, answer: JSON.parse(answer) }), ...times].join("\n"));
} catch (error) {
  console.log(`unavailable: ${String(error).trim().split("\n").at(-1)}`);
}
