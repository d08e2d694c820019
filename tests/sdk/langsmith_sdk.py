"""Traces a function with LangSmith's SDK to a LangSmith, given by its URL, and reads it back by the same SDK.

Prints the trace's id.
"""

import asyncio
import os
import sys
import time
import warnings

URL = sys.argv[1]
os.environ.update(LANGSMITH_TRACING="true", LANGSMITH_PROJECT="Support")

from langsmith import Client, traceable  # noqa: E402

client = Client(api_url=URL, api_key="lsv2_test")


@traceable(run_type="tool", client=client)
def order_status(number):
    return {"number": number, "status": "sent"}


@traceable(run_type="llm", client=client, metadata={"ls_model_name": "gpt-x"})
def model(messages):
    return {"choices": [{"message": {"role": "assistant", "content": "Order #12345 was sent."}}]}


@traceable(name="Support desk", client=client, tags=["beta"], metadata={"session_id": "thread-1"})
def desk(question):
    order_status("#12345")
    return model([{"role": "user", "content": question}])["choices"][0]["message"]["content"]


def by_the_first_route():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(client.list_runs(project_name="Support"))


def by_the_second_route():
    async def read():
        project = client.read_project(project_name="Support")
        selects = ["ID", "NAME", "RUN_TYPE", "TRACE_ID", "START_TIME", "PARENT_RUN_IDS", "OUTPUTS"]
        pages = client.runs.query_v2(project_ids=[str(project.id)], selects=selects, page_size=2)
        return [run async for run in pages]

    return asyncio.run(read())


def main():
    desk("Where is order #12345?")
    client.flush()
    read = by_the_second_route if client.info.version >= "0.16" else by_the_first_route
    for _ in range(50):
        runs = read()
        if len(runs) == 3:
            break
        time.sleep(0.1)
    names = sorted(run.name for run in runs)
    assert names == ["Support desk", "model", "order_status"], names
    assert len({str(run.trace_id) for run in runs}) == 1
    print(runs[0].trace_id)


main()
