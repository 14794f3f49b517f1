"""The list of a front: measured figures beside the artifact that holds each network."""

from __future__ import annotations

from app.candidates.schemas import CandidatesList
from tests.app.dashboard.samples import sample_front
from tests.app.running import Service, assert_problem, finish_job, make_job, start_job


def test_each_network_of_a_front_is_listed_with_its_file(service: Service) -> None:
    front = sample_front(3)
    files = {one.file: one.file.encode() for one in front.candidates}
    with service.client() as client:
        job = make_job(client)
        finish_job(service, start_job(service, job["id"]), files, **front.model_dump(mode="json"))

        body = client.get(job["links"]["candidates"]).json()

        listed = CandidatesList.model_validate(body).candidates
        assert [one.name for one in listed] == list(files)
        assert [one.latency_ratio for one in listed] == [one.latency.ratio for one in front.candidates]
        assert [one.units_cut for one in listed] == [1, 2, 3]
        assert sum(one.is_model for one in listed) == 1
        for one in listed:
            assert one.links is not None
            assert one.accuracy is not None
            assert client.get(one.links.content).content == files[one.name]
            alone = client.get(f"{job['links']['candidates']}/{one.id}").json()
            assert alone in body["candidates"]
            assert alone["id"] == one.id
        assert_problem(client.get(f"{job['links']['candidates']}/09"), 404, "not-found")


def test_a_job_without_a_front_lists_none(service: Service) -> None:
    with service.client() as client:
        job = make_job(client)
        before = client.get(job["links"]["candidates"]).json()
        finish_job(service, start_job(service, job["id"]), summary="30 % faster")

        assert before == client.get(job["links"]["candidates"]).json() == {"candidates": []}


def test_another_projects_front_is_as_unknown_as_one_that_never_was(service: Service) -> None:
    other = service.new_project("prj_candidates")
    with service.client() as client, service.client(other) as stranger:
        job = make_job(client)

        assert_problem(stranger.get(job["links"]["candidates"]), 404, "not-found")


def test_a_report_of_another_version_is_left_to_the_download(service: Service) -> None:
    with service.client() as client:
        job = make_job(client)
        finish_job(service, start_job(service, job["id"]), candidates=[{"file": "candidates/01.onnx"}])

        assert_problem(client.get(job["links"]["candidates"]), 404, "not-found", "report.json")
