import torch

from search_spaces.compression.two_four_sparsity.digits import digit_task


def test_the_splits_share_no_image_and_have_every_digit():
    task = digit_task()
    splits = [task.training, task.validation, task.test]
    assert [len(split) for split in splits] == [997, 200, 600]
    seen = set()
    for split in splits:
        images, labels = split.take(torch.arange(len(split)))
        assert images.shape[1:] == (1, 8, 8)
        assert 0.0 <= float(images.min()) < float(images.max()) <= 1.0
        assert set(labels.tolist()) == set(range(10))
        seen |= {image.numpy().tobytes() for image in images}
    assert len(seen) == 1797


def test_batches_go_through_every_image_once_and_on_from_where_they_were():
    split = digit_task().training
    batches = split.shuffled(100, torch.Generator().manual_seed(0))
    first = torch.cat([next(batches).inputs for _ in range(9)])
    assert len({image.numpy().tobytes() for image in first}) == 900
    kept = batches.state()
    later = [next(batches).inputs for _ in range(4)]
    other = split.shuffled(100, torch.Generator().manual_seed(7))
    other.restore(kept)
    assert all(torch.equal(one, next(other).inputs) for one in later)
