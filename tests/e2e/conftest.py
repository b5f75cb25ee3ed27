"""One server with both models for every test that leaves it as it was; tests of faults and limits start their own."""
import pathlib
import sys

import pytest

from hearth_process import Hearth, model_file, profile

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "server"))  # comfy_client, random_bodies


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    config = profile("smollm2", model_file("smollm2"), 'alias = ["tiny", "org/tiny"]') + profile(
        "gemma3", model_file("gemma3")) + '[llm]\ndefault_model = "smollm2"\n'
    with Hearth(tmp_path_factory.mktemp("server"), config) as running:
        yield running


@pytest.fixture(scope="session")
def client(server):
    with server.client() as made:
        yield made
