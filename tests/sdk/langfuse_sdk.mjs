// Uses the stand-in for Langfuse as the official SDK for JavaScript uses Langfuse. Says what went wrong, or prints what
// it sees as JSON, as langfuse_sdk.py does.

import assert from "node:assert/strict";
import { LangfuseClient } from "@langfuse/client";
import { NotFoundError, UnauthorizedError } from "@langfuse/core";

const START = "2026-01-01T00:00:00.000Z";
const END = "2026-01-01T00:01:00.000Z";
const ALL_FIELDS = "core,basic,time,io,metadata,model,usage,prompt,metrics,trace_context";
const [base] = process.argv.slice(2);

const client = (publicKey = "pk-lf-test") => new LangfuseClient({ publicKey, secretKey: "sk-lf-test", baseUrl: base });

async function keys({ api }) {
    assert.equal((await api.health.health()).status, "OK");
    await assert.rejects(client("pk-lf-wrong").api.projects.get(), UnauthorizedError);
    await assert.rejects(api.trace.get("none"), NotFoundError);
}

async function scores(langfuse) {
    const { api } = langfuse;
    const words = [{ label: "yes", value: 1 }, { label: "no", value: 0 }];
    const made = await api.scoreConfigs.create({ name: "polite", dataType: "CATEGORICAL", categories: words });
    assert.equal((await api.scoreConfigs.getById(made.id)).dataType, "CATEGORICAL");
    for (const value of [0, 1]) {
        langfuse.score.create({ id: "j1", traceId: "t3", name: "cites", value, dataType: "BOOLEAN", comment: "why" });
        await langfuse.score.flush();
    }
    await api.legacy.scoreV1.create({ id: "j2", traceId: "t3", name: "polite", value: "yes", configId: made.id });
    await api.legacy.scoreV1.create({ id: "j3", traceId: "t4", name: "length", value: 0.5 });
    const [lone] = (await api.scores.getMany({ traceId: "t3", name: "cites" })).data;
    assert.deepEqual([lone.id, lone.value, lone.stringValue, lone.comment], ["j1", 1, "True", "why"]);
    assert.equal((await api.scores.getById("j2")).stringValue, "yes");
}

async function everyObservation(api) {
    const found = [];
    let cursor;
    do {
        const page = await api.observations.getMany({
            fields: ALL_FIELDS, limit: 4, cursor, fromStartTime: START, toStartTime: END, expandMetadata: "long",
        });
        found.push(...page.data);
        cursor = page.meta.cursor;
    } while (cursor);
    return found;
}

// In the order of langfuse_sdk.py.
async function seen({ api }) {
    const observations = await everyObservation(api);
    const traces = await api.trace.list({ limit: 2, page: 2, orderBy: "timestamp.asc", fromTimestamp: START });
    const trace = await api.trace.get("t1");
    const configs = await api.scoreConfigs.get({ limit: 10 });
    const v2 = await api.scores.getMany({ limit: 10 });
    const v3 = await api.scoresV3.getManyV3({ limit: 10 });
    const time = (text) => Date.parse(text) / 1000;
    return {
        projects: (await api.projects.get()).data.map((project) => project.name),
        observations: observations.map((row) => [
            row.id, row.traceId, row.type, row.name, row.traceName, row.isRootObservation, row.input, row.output, row.latency,
            row.metadata, row.tags, row.userId, time(row.startTime), time(row.endTime),
        ]),
        traces: [traces.data.map((row) => row.id), traces.meta.totalItems, traces.meta.totalPages],
        trace: [trace.input, trace.output, trace.metadata, trace.tags, trace.userId, trace.latency, time(trace.timestamp)],
        steps: trace.observations.map((step) => [step.id, step.type, step.model, step.input, step.output]),
        configs: configs.data.map((config) => [config.name, config.dataType]),
        scores: v2.data.map((score) => [score.id, score.traceId, score.name, score.value, score.stringValue ?? null]),
        scores_v3: v3.data.map((score) => [score.id, score.name, score.value]),
    };
}

const langfuse = client();
await keys(langfuse);
await scores(langfuse);
console.log(JSON.stringify(await seen(langfuse)));
await langfuse.shutdown();
