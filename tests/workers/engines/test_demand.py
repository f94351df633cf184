"""What a stage takes of a cluster, and what the cluster offers."""

from service.domain.requirements import Requirements
from workers.engines.demand import Demand, NodeHas, demand_of, nodes_of, offer_of

GIB = 1024**3
SMALL = NodeHas({"cores": 8, "memory_gib": 16.0}, {"rack": "1"})
LARGE = NodeHas({"cores": 64, "memory_gib": 512.0, "gpus": 8, "licences": 2}, {"gpu": "h100"})


def demand(requires=None, nodes=(SMALL, LARGE), threads=1, gpus=0.0, chosen=None):
    return demand_of(
        Requirements.model_validate(requires or {}),
        nodes,
        threads=threads,
        gpus_per_stage=gpus,
        chosen=chosen or {},
    )


def test_rays_own_affairs_are_no_resources_and_dead_nodes_have_none():
    listed = [
        {
            "Alive": True,
            "Resources": {"CPU": 2.0, "memory": 4.0 * GIB, "node:127.0.1.1": 1.0, "licences": 2.0}
            | {"object_store_memory": 8e7, "accelerator_type:H100": 1.0},
            "Labels": {"gpu": "h100", "ray.io/node-id": "6af8"},
        },
        {"Alive": False, "Resources": {"CPU": 64.0}, "Labels": {}},
    ]
    (node,) = nodes_of(listed)
    assert node.resources == {"cores": 2.0, "memory_gib": 4.0, "licences": 2.0}
    assert node.labels == {"gpu": "h100"}


def test_a_cluster_offers_the_most_that_one_machine_has():
    offer = offer_of([SMALL, LARGE], {})
    assert offer.resources == {"cores": 64, "memory_gib": 512.0, "gpus": 8, "licences": 2}
    assert offer.labels == {"rack": "1", "gpu": "h100"}


def test_a_label_of_several_values_is_offered_by_the_worker_that_chooses_one():
    other = NodeHas({"cores": 128}, {"gpu": "a100"})
    assert "gpu" not in offer_of([LARGE, other], {}).labels
    offer = offer_of([LARGE, other], {"gpu": "h100"})
    assert offer.labels == {"gpu": "h100"}
    assert offer.resources["cores"] == 64
    assert demand(nodes=(LARGE, other), chosen={"gpu": "h100"}).labels == {"gpu": "h100"}


def test_a_stage_takes_its_threads_and_what_its_experiment_requires():
    assert demand(threads=4).resources == {"cores": 4}
    assert demand(gpus=0.5).resources == {"cores": 1, "gpus": 0.5}
    taken = demand({"at_least": {"cores": 2, "memory_gib": 40, "gpus": 2, "licences": 1}}, gpus=1)
    assert taken.resources == {"cores": 2, "memory_gib": 40, "gpus": 2, "licences": 1}
    assert taken.ray_options() == {
        "num_cpus": 2,
        "num_gpus": 2,
        "memory": 40 * GIB,
        "resources": {"licences": 1},
    }


def test_what_only_the_worker_promises_is_not_asked_of_ray():
    taken = demand({"at_least": {"gpu_memory_gib": 40}, "labels": {"site": "north", "rack": "1"}})
    assert taken.resources == {"cores": 1}
    assert taken.ray_options()["label_selector"] == {"rack": "1"}


def test_it_fits_where_all_of_it_is():
    taken = Demand({"cores": 2, "gpus": 1})
    assert taken.fits({"cores": 2, "gpus": 1, "memory_gib": 1})
    assert not taken.fits({"cores": 2})
    assert not taken.fits({"cores": 1, "gpus": 1})
