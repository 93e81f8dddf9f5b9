"""Reading topics directly."""

import asyncio
import gc

from tables.reader import open_reader
from tables.tasks import end


async def test_a_reader_that_is_given_up_while_it_starts_leaves_nothing_open():
    asked, closed = asyncio.Event(), asyncio.Event()

    async def never_answer(reader, writer):
        await reader.read(1)
        asked.set()
        await reader.read()
        closed.set()
        writer.close()

    async def read(port):
        async with open_reader(f"127.0.0.1:{port}"):
            pass

    unclosed = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unclosed.append(context))
    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as broker:
        task = asyncio.create_task(read(broker.sockets[0].getsockname()[1]))
        async with asyncio.timeout(5):
            await asked.wait()
            await end(task)
            gc.collect()
            await closed.wait()
    assert not unclosed
