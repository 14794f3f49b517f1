"""A manifest says what went in and came out; whoever has the key finds every kind of tampering without the service."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

from app.manifests.signing import Signer
from app.manifests.statement import FORMAT
from client import NotGenuine, UsageError, read_public_keys, verify_manifest
from client.cli import main
from client.packing import packed_model
from tests.app.dashboard.samples import sample_report
from tests.app.running import Service, assert_problem, finish_job, make_job, make_model, start_job

CONTENTS = {"model.onnx": b"a smaller network", "report.json": b'{"a": "report"}', "candidates/01.onnx": b"another one"}
INPUT = b"the original network"


class Evidence(NamedTuple):
    """What an auditor has: manifest, keys, and the files in a folder."""

    envelope: bytes
    keys: dict[str, bytes]
    folder: Path
    job_id: str

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.glob("*"))


@pytest.fixture(scope="module")
def made(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[bytes, str, str]]:
    with service.client() as client:
        job = make_job(client, make_model(client, INPUT), recipe={"seed": 7})
        assert_problem(client.get(job["links"]["manifest"]), 409, "state-conflict", "submitted")
        finish_job(service, start_job(service, job["id"]), CONTENTS, **sample_report().model_dump(mode="json"))
        yield client.get(job["links"]["manifest"]).content, client.get("/v1/signing-keys").text, job["id"]


@pytest.fixture
def evidence(made: tuple[bytes, str, str], tmp_path: Path) -> Evidence:
    envelope, keys, job_id = made
    for name, content in {**CONTENTS, "net.onnx": INPUT}.items():
        (tmp_path / name.rpartition("/")[2]).write_bytes(content)
    return Evidence(envelope, read_public_keys(keys), tmp_path, job_id)


def test_a_manifest_names_everything_that_a_job_follows_from(evidence: Evidence) -> None:
    found = verify_manifest(evidence.envelope, evidence.keys, evidence.files)

    manifest, report = found.manifest, sample_report()
    assert manifest["job"]["id"] == evidence.job_id
    assert (manifest["seed"], manifest["recipe"]["seed"]) == (7, 7)
    assert manifest["environment"] == report.environment.model_dump()
    assert [unit["decision"] for unit in manifest["decisions"]] == [unit.decision for unit in report.units]
    assert manifest["figures"]["latency"] == report.latency.model_dump()
    assert [entry["sha256"] for entry in manifest["inputs"]] == [hashlib.sha256(INPUT).hexdigest()]
    assert {entry["name"]: entry["sha256"] for entry in manifest["outputs"]} == {
        name: hashlib.sha256(content).hexdigest() for name, content in CONTENTS.items()
    }
    assert {match.path.name: match.role for match in found.files}["net.onnx"] == "model"
    assert found.key_id in evidence.keys


def test_asked_again_a_manifest_is_the_same_to_the_byte(service: Service, evidence: Evidence) -> None:
    with service.client() as client:
        assert client.get(f"/v1/jobs/{evidence.job_id}/manifest").content == evidence.envelope


def edited(change: Callable[[dict[str, Any]], object]) -> Callable[[Evidence], bytes]:
    """Change the envelope."""

    def edit(evidence: Evidence) -> bytes:
        envelope = json.loads(evidence.envelope)
        change(envelope)
        return json.dumps(envelope).encode()

    return edit


def rewritten(change: Callable[[dict[str, Any]], object]) -> Callable[[Evidence], bytes]:
    """Change the manifest inside the envelope."""

    def rewrite(envelope: dict[str, Any]) -> None:
        manifest = json.loads(base64.b64decode(envelope["payload"]))
        change(manifest)
        envelope["payload"] = base64.b64encode(json.dumps(manifest, sort_keys=True).encode()).decode()

    return edited(rewrite)


def signed_by_another(evidence: Evidence) -> bytes:
    payload = base64.b64decode(json.loads(evidence.envelope)["payload"])
    forged = Signer(b"another pepper").envelope(payload)
    forged["signatures"][0]["keyid"] = next(iter(evidence.keys))
    return json.dumps(forged).encode()


def flip(text: str, place: int = 10) -> str:
    content = bytearray(base64.b64decode(text))
    content[place] ^= 1
    return base64.b64encode(bytes(content)).decode()


ENVELOPES: dict[str, Callable[[Evidence], bytes]] = {
    "a bit of the payload": edited(lambda found: found.update(payload=flip(found["payload"]))),
    "a bit of the signature": edited(
        lambda found: found["signatures"][0].update(sig=flip(found["signatures"][0]["sig"]))
    ),
    "no signature": edited(lambda found: found.update(signatures=[])),
    "an empty signature": edited(lambda found: found["signatures"][0].update(sig="")),
    "another type": edited(lambda found: found.update(payloadType="application/json")),
    "an output's digest": rewritten(lambda manifest: manifest["outputs"][0].update(sha256="0" * 64)),
    "an input's digest": rewritten(lambda manifest: manifest["inputs"][0].update(sha256="0" * 64)),
    "the seed": rewritten(lambda manifest: manifest.update(seed=8)),
    "the environment": rewritten(lambda manifest: manifest["environment"].update(processor="a faster one")),
    "a decision": rewritten(lambda manifest: manifest["decisions"][0].update(decision="kept", reason="so")),
    "a figure": rewritten(lambda manifest: manifest["figures"]["latency"]["ratio"].update(value=0.1)),
    "the outcome": rewritten(lambda manifest: manifest["job"].update(outcome="no_gain")),
    "the same in other words": rewritten(lambda manifest: None),
    "another signer": signed_by_another,
    "the end cut off": lambda evidence: evidence.envelope[:-40],
    "not base64": edited(lambda found: found.update(payload="*")),
    "a list": lambda _: b"[]",
}


@pytest.mark.parametrize("tampering", ENVELOPES)
def test_a_changed_manifest_is_found_out(evidence: Evidence, tampering: str) -> None:
    with pytest.raises(NotGenuine):
        verify_manifest(ENVELOPES[tampering](evidence), evidence.keys)


def test_every_changed_byte_of_a_file_is_found_out(evidence: Evidence) -> None:
    path, content = evidence.folder / "model.onnx", CONTENTS["model.onnx"]

    for place in range(len(content)):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(NotGenuine, match="no file with this content"):
            verify_manifest(evidence.envelope, evidence.keys, [path])


@pytest.mark.parametrize(
    "content", [b"", CONTENTS["model.onnx"] + b"\0", CONTENTS["model.onnx"][:-1], CONTENTS["candidates/01.onnx"]]
)
def test_a_file_that_is_cut_longer_or_in_anothers_place_is_found_out(evidence: Evidence, content: bytes) -> None:
    path = evidence.folder / "model.onnx"
    path.write_bytes(content)

    with pytest.raises(NotGenuine):
        verify_manifest(evidence.envelope, evidence.keys, [path])


def test_a_file_may_have_a_name_of_its_own(evidence: Evidence) -> None:
    path = evidence.folder / "pruned.onnx"
    path.write_bytes(CONTENTS["model.onnx"])

    (match,) = verify_manifest(evidence.envelope, evidence.keys, [path]).files

    assert match.name == "model.onnx"


def signed_for(path: Path) -> tuple[bytes, dict[str, bytes]]:
    """Return a manifest of a network as the client sends it, with the key that it is signed with."""
    with packed_model(path) as sent:
        content, name = sent.read_bytes(), sent.name
    entry = {"role": "model", "name": name, "sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    outputs = [{"role": "model", "name": "model.onnx", "sha256": "0" * 64, "size_bytes": 1}]
    manifest = {"format": FORMAT, "inputs": [entry], "outputs": outputs}
    signer = Signer(b"a pepper")
    envelope = json.dumps(signer.envelope(json.dumps(manifest).encode()))
    return envelope.encode(), read_public_keys(signer.public_key)


@pytest.mark.parametrize("name", ["digits.onnx", "model.onnx"])
def test_a_network_with_its_weights_beside_it_is_what_the_client_has_sent(tmp_path: Path, name: str) -> None:
    """`torch.onnx.export` writes two files, and an upload makes one archive of them; an output may have its name."""
    path, weights = tmp_path / name, tmp_path / f"{name}.data"
    path.write_bytes(b"graph")
    weights.write_bytes(b"weights")
    envelope, keys = signed_for(path)

    (match,) = verify_manifest(envelope, keys, [path]).files

    assert (match.path, match.role, match.name) == (path, "model", f"{path.stem}.zip")
    weights.write_bytes(b"weighty")
    with pytest.raises(NotGenuine, match=rf"no file with this content .*, nor .* {path.stem}\.zip .*{name}\.data"):
        verify_manifest(envelope, keys, [path])


def test_a_network_that_was_sent_alone_may_have_a_file_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "digits.onnx"
    path.write_bytes(b"all of it")
    envelope, keys = signed_for(path)
    (tmp_path / "digits.onnx.data").write_bytes(b"notes")

    assert verify_manifest(envelope, keys, [path]).files[0].name == "digits.onnx"


@pytest.mark.parametrize(
    "text", ["", "AAAA", "{}", '{"signing_keys": []}', '{"signing_keys": [1]}', "not base64", "né"]
)
def test_what_is_no_key_is_told_as_such(text: str) -> None:
    with pytest.raises(UsageError):
        read_public_keys(text)


def test_the_key_follows_from_the_pepper_and_is_no_secret_of_its_own() -> None:
    assert Signer(b"one").public_key == Signer(b"one").public_key
    assert Signer(b"one").key_id != Signer(b"two").key_id


def test_the_command_checks_offline_and_says_what_it_did_not_check(
    evidence: Evidence, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECATEUR_SERVER", "http://127.0.0.1:1")
    (evidence.folder / "m.json").write_bytes(evidence.envelope)
    (key,) = evidence.keys.values()
    arguments = ["verify", str(evidence.folder / "m.json"), "--public-key", base64.b64encode(key).decode()]

    good = CliRunner().invoke(main, [*arguments, str(evidence.folder / "model.onnx")])
    (evidence.folder / "model.onnx").write_bytes(b"another")
    bad = CliRunner().invoke(main, [*arguments, str(evidence.folder / "model.onnx")])

    assert good.exit_code == 0, good.output
    assert "seed 7" in good.stdout
    assert "not checked: report report.json" in good.stdout or "not checked: model report.json" in good.stdout
    assert bad.exit_code == 1
    assert "no file with this content" in bad.output
