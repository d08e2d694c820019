// Runs Vercel's AI SDK on a mock model. Prints traces as JSON, its spans as Langfuse keeps them.

import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-node";
import { generateText, readUIMessageStream, stepCountIs, streamText, tool } from "ai";
import { MockLanguageModelV3, simulateReadableStream } from "ai/test";
import { z } from "zod";

const SYSTEM = "Answer in one sentence.";
const QUESTION = "Where are my orders 10042 and 10043?";
const ANSWER = "Order 10042 has shipped, and there is no order 10043.";
const ASKED = { call_1: "10042", call_2: "10043" };

const exporter = new InMemorySpanExporter();
const started = [];
const order = { onStart: (span) => started.push(span.spanContext().spanId), onEnd() {}, async forceFlush() {}, async shutdown() {} };
const provider = new NodeTracerProvider({ spanProcessors: [order, new SimpleSpanProcessor(exporter)] });
provider.register();
const tracer = provider.getTracer("ai");
const telemetry = { experimental_telemetry: { isEnabled: true, tracer } };
/** The attributes that say what was said. */
const READ = /^ai\.(operationId|model\.id|prompt|prompt\.messages|response\.text|response\.toolCalls|toolCall\..*)$/;
const usage = { inputTokens: { total: 9 }, outputTokens: { total: 9 } };

const thought = { type: "reasoning", text: "Two orders, so two look-ups." };
const calls = Object.entries(ASKED).map(([toolCallId, order]) => ({
    type: "tool-call",
    toolCallId,
    toolName: "find_order",
    input: JSON.stringify({ order }),
}));
const step = (...content) => ({
    content,
    usage,
    finishReason: { unified: content.some((part) => part.type === "tool-call") ? "tool-calls" : "stop" },
    warnings: [],
});
const find_order = tool({
    inputSchema: z.object({ order: z.string() }),
    execute: ({ order }) => {
        if (order === "10043") throw new Error("no such order");
        return { status: "shipped" };
    },
});

async function text() {
    const model = new MockLanguageModelV3({ doGenerate: [step(thought, { type: "text", text: ANSWER })] });
    const messages = [
        { role: "user", content: "Hello" },
        { role: "assistant", content: "How can I help?" },
        { role: "user", content: [{ type: "text", text: QUESTION }] },
    ];
    await generateText({ model, system: SYSTEM, messages, ...telemetry });
    return traced();
}

async function used(...first) {
    const model = new MockLanguageModelV3({ doGenerate: [step(thought, ...first, ...calls), step({ type: "text", text: ANSWER })] });
    return await generateText({
        model, system: SYSTEM, prompt: QUESTION, tools: { find_order }, stopWhen: stepCountIs(3), ...telemetry,
    });
}

async function messages(result) {
    const input = [{ role: "system", content: SYSTEM }, { role: "user", content: QUESTION }];
    return { input, output: { messages: result.response.messages } };
}

async function ui() {
    const chunks = [
        [{ type: "stream-start", warnings: [] }, ...calls, { type: "finish", usage, finishReason: { unified: "tool-calls" } }],
        [
            { type: "stream-start", warnings: [] }, { type: "text-start", id: "1" }, { type: "text-delta", id: "1", delta: ANSWER },
            { type: "text-end", id: "1" }, { type: "finish", usage, finishReason: { unified: "stop" } },
        ],
    ];
    const doStream = chunks.map((chunks) => ({ stream: simulateReadableStream({ chunks }) }));
    const result = streamText({
        model: new MockLanguageModelV3({ doStream }), prompt: QUESTION, tools: { find_order }, stopWhen: stepCountIs(3),
    });
    let answer;
    const stream = result.toUIMessageStream({ onError: (error) => error.message });
    for await (const message of readUIMessageStream({ stream })) answer = message;
    const question = { id: "m1", role: "user", parts: [{ type: "text", text: QUESTION }] };
    return { input: { messages: [question] }, output: { ...answer, id: "m2" } };
}

/** The spans, with the attributes that Langfuse takes for input and output. */
function traced() {
    const place = (span) => started.indexOf(span.spanContext().spanId);
    const spans = exporter.getFinishedSpans().toSorted((one, other) => place(one) - place(other));
    exporter.reset();
    const ids = spans.map((span) => span.spanContext().spanId);
    const observations = spans.map((span, at) => observation(span, at, ids));
    const [{ input, output }] = observations;
    const attributes = (span) => Object.fromEntries(Object.entries(span.attributes).filter(([key]) => READ.test(key)));
    const sent = spans.map((span, at) => ({ parent: observations[at].parentObservationId, attributes: attributes(span) }));
    return { input, output, observations, spans: sent };
}

function observation({ name, attributes, parentSpanContext, status }, at, ids) {
    const parsed = (text) => {
        try { return JSON.parse(text); } catch { return text; }
    };
    const first = (...keys) => parsed(keys.map((key) => attributes[`ai.${key}`]).find((value) => value !== undefined) ?? null);
    const { "ai.response.text": content, "ai.response.toolCalls": tool_calls } = attributes;
    const both = content && tool_calls ? { role: "assistant", content, tool_calls } : null;
    const type = name.includes(".do") ? "GENERATION" : name === "ai.toolCall" ? "TOOL" : "SPAN";
    return {
        id: `step-${at}`,
        parentObservationId: parentSpanContext ? `step-${ids.indexOf(parentSpanContext.spanId)}` : null,
        type,
        name: attributes["ai.toolCall.name"] ?? name,
        startTime: `2026-01-01T00:00:${String(at).padStart(2, "0")}.000Z`,
        level: status.code === 2 ? "ERROR" : "DEFAULT",
        statusMessage: status.message ?? null,
        input: first("prompt.messages", "prompt", "toolCall.args"),
        output: both ?? first("response.text", "toolCall.result", "response.toolCalls"),
    };
}

const made = { text: await text() };
const result = await used();
made.tools = traced();
made.messages = await messages(result);
made.ui = await ui();
await used({ type: "text", text: "Let me look." });
made.both = traced();
console.log(JSON.stringify(made));
