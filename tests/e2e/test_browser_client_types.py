"""The client library for browsers: its types and its manual's examples, checked by the TypeScript compiler."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.processes import ROOT, do_without

TYPESCRIPT = "typescript@5.6.3"

CHECK = """
import * as declared from "./readcast.js";
import * as implementation from "./implementation.js";

const fits: typeof declared = implementation;
const client = new fits.Client({ user: "alice", token: async () => null });
client.on("message", ({ seq, from }) => from.padEnd(seq));
client.on("state", (state) => state.name === "waiting" && state.retryAt.toFixed());
client.request("history", { mailbox: "group:g" }).then(({ messages }) => messages[0].seq.toFixed());
client.request("members", { mailbox: "group:g" }).then(({ members }) => members);
// @ts-expect-error: a client is somebody's
new fits.Client({ token: "" });
"""
"""A user of the types, and whether the module is what they say."""

GIVEN = """
import { Client } from "./readcast.js";

declare const client: Client;
"""
"""What the examples of the manual after the first one go on from."""

OPTIONS = (
    *("--noEmit", "--strict", "--allowJs", "--skipLibCheck"),
    *("--target", "es2022", "--module", "esnext", "--moduleResolution", "bundler"),
    *("--lib", "es2023,dom,dom.iterable"),
)


@pytest.fixture(scope="module")
def tsc() -> list[str]:
    """The TypeScript compiler, where npm can run it."""
    npx = shutil.which("npx")
    command = [npx or "npx", "--yes", "--prefer-offline", "--package", TYPESCRIPT, "tsc"]
    if not npx or subprocess.run([*command, "--version"], capture_output=True).returncode:
        do_without(f"no {TYPESCRIPT}: the types are not checked")
    return command


def test_the_types_fit_the_module_and_the_manual(tmp_path: Path, tsc: list[str]):
    static = ROOT / "gateway/static"
    for name in ("readcast.js", "readcast.d.ts"):
        shutil.copy(static / name, tmp_path)
    shutil.copy(static / "readcast.js", tmp_path / "implementation.js")
    (tmp_path / "check.ts").write_text(CHECK)
    manual = (ROOT / "docs/browser-client.md").read_text()
    examples = re.findall(r"^```js\n(.*?)^```", manual, re.MULTILINE | re.DOTALL)
    assert examples
    for number, example in enumerate(examples):
        given = "" if "new Client(" in example else GIVEN
        script = given + example.replace('"/readcast.js"', '"./readcast.js"')
        (tmp_path / f"example{number}.ts").write_text(script)
    files = sorted(tmp_path.glob("*.ts"))
    checked = subprocess.run([*tsc, *OPTIONS, *files], capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
