// Sends traces as the official SDKs do: OpenTelemetry's (protobuf and JSON) and Langfuse's. Prints their ids as JSON.

import { LangfuseSpanProcessor } from "@langfuse/otel";
import { propagateAttributes, setLangfuseTracerProvider, startActiveObservation, startObservation } from "@langfuse/tracing";
import { context, trace } from "@opentelemetry/api";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";

const QUESTION = "Where is my order?";
const ANSWER = "It is on its way.";
const [base, key, publicKey, secretKey] = process.argv.slice(2);

const spoken = (role, text) => JSON.stringify([{ role, parts: [{ type: "text", content: text }] }]);

async function byOpenTelemetry(Exporter, compression) {
    const exporter = new Exporter({
        url: `${base}/v1/traces`,
        headers: { Authorization: `Bearer ${key}` },
        compression,
    });
    const provider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(exporter)] });
    const tracer = provider.getTracer("shop");
    const root = tracer.startSpan("handle");
    const step = tracer.startSpan("chat m", {}, trace.setSpan(context.active(), root));
    step.setAttributes({
        "gen_ai.operation.name": "chat",
        "gen_ai.request.model": "m",
        "gen_ai.conversation.id": "s",
        "gen_ai.usage.input_tokens": 3,
        "gen_ai.usage.output_tokens": 4,
        "gen_ai.input.messages": spoken("user", QUESTION),
        "gen_ai.output.messages": spoken("assistant", ANSWER),
    });
    step.end();
    root.end();
    await provider.shutdown();
    return root.spanContext().traceId;
}

async function byLangfuse() {
    const processor = new LangfuseSpanProcessor({ publicKey, secretKey, baseUrl: base });
    const provider = new NodeTracerProvider({ spanProcessors: [processor] });
    provider.register();
    setLangfuseTracerProvider(provider);
    let traceId;
    await propagateAttributes({ sessionId: "s", userId: "u", tags: ["a"], traceName: "support" }, () =>
        startActiveObservation("handle", async (root) => {
            traceId = root.traceId;
            root.update({ input: QUESTION, output: ANSWER, metadata: { plan: "pro" } });
            const fields = {
                model: "m",
                input: [{ role: "user", content: QUESTION }],
                output: { role: "assistant", content: ANSWER },
                usageDetails: { input: 3, output: 4 },
            };
            startObservation("answer", fields, { asType: "generation" }).end();
        }),
    );
    await provider.shutdown();
    return traceId;
}

console.log(
    JSON.stringify({
        protobuf: await byOpenTelemetry(ProtobufExporter, "gzip"),
        json: await byOpenTelemetry(JsonExporter),
        langfuse: await byLangfuse(),
    }),
);
