"""A server that behaves as runqy's HTTP API, on real connections, and that fails where a test says so.

What it answers, in which form and with which status, is what runqy's server of March 2026 does: its batch answers list
the errors of the tasks that failed without saying which they are, and ``GET /queue/<id>`` gives the payload as text.
"""

from __future__ import annotations

import asyncio
import json
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

KEY = "an-api-key-of-the-tests"


@dataclass(slots=True)
class Fault:
    """How a request fails.

    Attributes:
        status: Answered instead of what it should be; 0 for none.
        headers: Of that answer.
        drop: Close the connection instead of answering.
        hang: Never answer.
        wait: Answer as it should be, but only once ``RunqyApi.gate`` is set.
        carry_out: First do what the request asks for.
        body: Of that answer; runqy's form of an error if it is None.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False
    hang: bool = False
    wait: bool = False
    carry_out: bool = False
    body: bytes | None = None


Rule = Callable[[int, dict[str, Any]], Fault | None]
"""From the number of a request (from 0) and its body to how it fails; None for not at all."""


class RunqyApi:
    """Runs in a thread of its own.

    Attributes:
        tasks: Queue and payload of each task that is in, by id, in their order.
        gate: Ends the waiting of requests whose fault is to wait.
        bodies: Of all requests that arrived, as bytes.
        most_at_once: The most requests that were under way at a time.
        connections: How many connections were made.
        refuses: From a payload to why that task is not taken; None for the others.
        invalid: Whether a payload makes the whole request invalid (400).
    """

    def __init__(self, *queues: str) -> None:
        self.queues = set(queues) or {"q.default"}
        self.tasks: dict[str, tuple[str, bytes]] = {}
        self.bodies: list[bytes] = []
        self.paths: list[str] = []
        self.rule: Rule | None = None
        self.gate = threading.Event()
        self.refuses: Callable[[Any], str | None] = lambda payload: None
        self.invalid: Callable[[Any], bool] = lambda payload: False
        self.indexed_errors = False
        self.forgetful = False
        self.most_at_once = 0
        self.connections: set[tuple[str, int]] = set()
        self.port = 0
        self._under_way = 0
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def payloads(self, queue: str = "q.default") -> list[bytes]:
        """What is in a queue, in the order in which it came; a batch's jobs are stored as they were sent."""
        return [payload for name, payload in self.tasks.values() if name == queue]

    def __enter__(self) -> Self:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.down()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def down(self) -> None:
        """Stops listening and drops all connections."""
        if self._runner is not None:
            asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result()
            self._runner = None

    def up(self) -> None:
        """Listens again, on the same port."""
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result()

    async def _start(self) -> None:
        app = web.Application(client_max_size=64 * 1024 * 1024)
        app.router.add_post("/queue/add", self._add)
        app.router.add_post("/queue/add-batch", self._add)
        app.router.add_get("/queue/{id}", self._get)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        assert site._server is not None
        self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]

    async def _add(self, request: web.Request) -> web.StreamResponse:
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        try:
            return await self._answer(request)
        finally:
            self._under_way -= 1

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.connections.add(request.transport.get_extra_info("peername"))
        raw = await request.read()
        with self._lock:
            number = len(self.bodies)
            self.bodies.append(raw)
            self.paths.append(request.path)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            return _error(401, "access unauthorized")
        body = json.loads(raw)
        fault = self.rule(number, body) if self.rule is not None else None
        if fault is None:
            return self._carry_out(request.path, raw, body)
        if fault.wait:
            while not self.gate.is_set():
                await asyncio.sleep(0.01)
            return self._carry_out(request.path, raw, body)
        if fault.carry_out:
            self._carry_out(request.path, raw, body)
        if fault.hang:
            await asyncio.sleep(3600)
        if fault.drop:
            request.transport.abort()
        if fault.body is not None:
            return web.Response(status=fault.status or 200, headers=fault.headers, body=fault.body)
        return _error(fault.status or 500, "as the test wants it", fault.headers)

    def _carry_out(self, path: str, raw: bytes, body: dict[str, Any]) -> web.Response:
        queue = body["queue"]
        queue = queue if "." in queue else f"{queue}.default"
        if queue not in self.queues:
            return _error(404, f"queue not found: {queue}")
        if path == "/queue/add":
            if self.invalid(body["data"]):
                return _error(400, "prompt is required")
            task_id = self._store(queue, raw[raw.index(b'"data":') + len(b'"data":') : -1])
            return web.json_response(
                {"info": {"id": task_id, "queue": queue, "state": "pending"}, "data": body["data"]}
            )
        if any(self.invalid(job["data"]) for job in body["jobs"]):
            return _error(400, "a job is invalid")
        ids: list[str] = []
        errors: list[Any] = []
        for index, job in enumerate(body["jobs"]):
            why = self.refuses(job["data"])
            if why is None:
                ids.append(self._store(queue, json.dumps(job).encode()))
            else:
                errors.append({"index": index, "error": why} if self.indexed_errors else why)
        answer = {"enqueued": len(ids), "failed": len(errors), "task_ids": ids}
        return web.json_response({**answer, "errors": errors} if errors else answer)

    def _store(self, queue: str, payload: bytes) -> str:
        task_id = str(uuid.uuid4())
        self.tasks[task_id] = (queue, payload)
        return task_id

    async def _get(self, request: web.Request) -> web.Response:
        found = self.tasks.get(request.match_info["id"])
        if found is None or self.forgetful:
            return _error(404, "task not found")
        queue, payload = found
        info = {"id": request.match_info["id"], "queue": queue, "state": "pending", "payload": payload.decode()}
        return web.json_response({"Info": info})


def _error(status: int, text: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"errors": [text]}, status=status, headers=headers)
