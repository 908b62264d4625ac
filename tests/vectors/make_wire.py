"""Write the wire vectors and the examples in pages anew: ``make vectors``.

    tests/vectors/wire/*.json            every file from fixed secrets and seeded randomness: byte for byte alike
    protocol/README.md, docs/client.md   the blocks between <!-- example NAME --> and <!-- end -->

The files are JSON, one object each, with a ``comment`` in every object that holds vectors; bytes are lower-case hex,
blobs base64url.  They are checked by tests/protocol/test_wire_vectors.py.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from tests.vectors import (  # noqa: E402
    wire_adaptors,
    wire_contents,
    wire_due,
    wire_faults,
    wire_frames,
    wire_log,
    wire_machines,
    wire_notes,
    wire_peer,
    wire_policies,
    wire_resume,
    wire_secrets,
    wire_statements,
    wire_tickets,
)
from tests.vectors.examples import filled  # noqa: E402

FILES: Final[dict[str, Callable[[], Any]]] = {
    "statements": wire_statements.statements_json,
    "records": wire_statements.records_json,
    "frames": wire_frames.frames_json,
    "keys": wire_secrets.keys_json,
    "sealing": wire_secrets.sealing_json,
    "envelopes": wire_secrets.envelopes_json,
    "tickets": wire_tickets.tickets_json,
    "contributions": wire_tickets.contributions_json,
    "adaptors": wire_adaptors.adaptors_json,
    "contents": wire_contents.contents_json,
    "notes": wire_notes.notes_json,
    "roster": wire_contents.roster_json,
    "policies": wire_policies.policies_json,
    "log": wire_log.log_json,
    "export": wire_log.export_json,
    "machines": wire_machines.machines_json,
    "due": wire_due.due_json,
    "faults": wire_faults.faults_json,
    "peer": wire_peer.peer_json,
    "resume": wire_resume.resume_json,
}

PAGES: Final = ("protocol/README.md", "docs/client.md")
"""The pages whose examples are copied from the vectors."""


def write(folder: Path) -> None:
    """Write every file of vectors into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in FILES.items():
        text = json.dumps(make(), indent=1, ensure_ascii=True)
        (folder / f"{name}.json").write_text(text + "\n", encoding="ascii")


def main() -> None:
    """Write the vectors, then the pages' examples from them."""
    wire = ROOT / "tests" / "vectors" / "wire"
    write(wire)
    for page in PAGES:
        (ROOT / page).write_text(filled((ROOT / page).read_text("utf-8"), wire), encoding="utf-8")
    print(f"{len(FILES)} files in {wire.relative_to(ROOT)}, examples in {' and '.join(PAGES)}")


if __name__ == "__main__":
    main()
