"""examples/train_prior.py: its folders and what it says it was trained on."""

import importlib.util
import json
import pathlib
import shutil

import pytest

import lokitalk_jax as lokitalk

_PATH = pathlib.Path(__file__).resolve().parents[1] / "examples" / "train_prior.py"


@pytest.fixture
def script(monkeypatch, tiny_run):
    spec = importlib.util.spec_from_file_location("train_prior", _PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    calls = []

    def train(config, data, workdir, **options):
        calls.append((config, sorted(p.name for p in data.iterdir()), options))
        return lokitalk.Run(tiny_run.workdir)

    monkeypatch.setattr(module.lokitalk, "train", train)
    module.calls = calls
    return module


def test_it_trains_on_the_named_people_and_says_so(script, tiny_run, tmp_path, capsys):
    first = tiny_run.names[0]
    names = tmp_path / "names.txt"
    names.write_text(f"{first}\n\n")
    flags = [f"--data={tiny_run.data}", f"--names={names}", f"--out={tmp_path / 'o'}"]
    flags += ["--steps=12", "--animated=0", "--footage=a corpus, CC BY 4.0"]
    for _ in range(2):  # the second call finds everything there
        assert script.main(flags) == 0
    prior = tmp_path / "o" / "prior"
    assert capsys.readouterr().out.split() == [str(prior)] * 2
    config, people, options = script.calls[0]
    assert (config, people) == ("multi_id:standard", [first])
    assert options["overrides"]["train.identities_per_step"] == 8
    facts = json.loads((tmp_path / "o" / "trained_on.json").read_text())
    assert facts["people"] == [first] and facts["steps"] == 12
    assert facts["footage"] == "a corpus, CC BY 4.0"
    assert 0 < facts["bytes"] < script.MOST_BYTES
    assert lokitalk.Run(prior).identities == ["mean"]


def test_people_of_an_earlier_call_are_not_trained_on(
    script, tiny_run, tmp_path, capsys
):
    out, first = tmp_path / "o", tiny_run.names[0]
    flags = [f"--data={tiny_run.data}", f"--out={out}", "--animated=0", "--steps=12"]
    assert script.main(flags) == 0
    (tmp_path / "names.txt").write_text(first)
    flags.append(f"--names={tmp_path / 'names.txt'}")
    assert script.main(flags) == 0
    assert [people for _, people, _ in script.calls] == [tiny_run.names, [first]]
    shutil.copytree(tiny_run.data / first, out / "identities" / "demo_07")
    assert script.main(flags) == 1
    assert "also holds demo_07" in capsys.readouterr().err and len(script.calls) == 2


def test_half_an_export_does_not_count(script, tiny_run, tmp_path, monkeypatch):
    flags = [f"--data={tiny_run.data}", f"--out={tmp_path / 'o'}", "--animated=0"]

    def killed(run, out):
        pathlib.Path(out).mkdir()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(lokitalk.Run, "export_prior", killed)
        script.main([*flags, "--steps=12"])
    assert script.main([*flags, "--steps=12"]) == 0
    assert lokitalk.Run(tmp_path / "o" / "prior").identities == ["mean"]


def test_a_prior_of_fewer_steps_is_replaced(script, tiny_run, tmp_path):
    flags = [f"--data={tiny_run.data}", f"--out={tmp_path / 'o'}", "--animated=0"]
    stale = tmp_path / "o" / "prior" / "checkpoints" / "8"
    stale.mkdir(parents=True)
    assert script.main([*flags, "--steps=12"]) == 0
    assert not stale.exists() and lokitalk.Run(tmp_path / "o" / "prior").step == 12


def test_refusals(script, tiny_run, tmp_path, capsys):
    flags = [f"--data={tiny_run.data}", f"--out={tmp_path / 'o'}", "--animated=0"]
    assert script.main([*flags, "--steps=20"]) == 1
    assert "stopped at step 12" in capsys.readouterr().err
    names = tmp_path / "names.txt"
    names.write_text("nobody")
    assert script.main([*flags, f"--names={names}"]) == 1
    assert "no identity nobody" in capsys.readouterr().err
