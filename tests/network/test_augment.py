"""Augmentation: flips, rotations and light, without side effects."""

import torch

from surface_crack.network.augment import augment


def batch(count: int = 16) -> torch.Tensor:
    rng = torch.Generator().manual_seed(0)
    images = torch.randint(60, 200, (count, 12, 12, 3), dtype=torch.uint8, generator=rng)
    return images.permute(0, 3, 1, 2)


def changed(images: torch.Tensor, seed: int = 0, **options: float) -> torch.Tensor:
    settings = {"flips": False, "brightness": 0.0, "contrast": 0.0, "gamma": 0.0} | options
    return augment(
        images,
        torch.Generator().manual_seed(seed),
        flips=bool(settings["flips"]),
        brightness=settings["brightness"],
        contrast=settings["contrast"],
        gamma=settings["gamma"],
    )


def test_without_augmentation_nothing_changes() -> None:
    assert torch.equal(changed(batch()), batch())


def test_a_batch_contains_all_eight_versions() -> None:
    one = batch(1).expand(16, 3, 12, 12)
    versions = {tuple(photo.flatten().tolist()) for photo in changed(one, flips=True)}
    want = {
        tuple(side.rot90(k, dims=(1, 2)).flatten().tolist())
        for side in (one[0], one[0].flip(2))
        for k in range(4)
    }
    assert len(want) == 8
    assert versions == want


def test_each_photo_of_a_batch_is_one_of_its_own_versions() -> None:
    photos, seen = batch(20), []
    for photo, now in zip(photos, changed(photos, flips=True), strict=True):
        versions = [s.rot90(k, dims=(1, 2)) for s in (photo, photo.flip(2)) for k in range(4)]
        (which,) = [place for place, one in enumerate(versions) if torch.equal(one, now)]
        seen.append(which)
    assert sorted(seen[:8]) == list(range(8))
    assert seen[8:] == seen[:12]


def test_small_batches_get_all_eight_versions_over_time() -> None:
    rng = torch.Generator().manual_seed(0)
    off = {"brightness": 0.0, "contrast": 0.0, "gamma": 0.0}
    seen = {
        tuple(augment(batch(2), rng, flips=True, **off)[0].flatten().tolist()) for _ in range(60)
    }
    assert len(seen) == 8


def test_rotation_does_not_modify_its_input() -> None:
    images = batch()
    changed(images, flips=True)
    assert torch.equal(images, batch())


def test_brightness_scales_the_whole_photo() -> None:
    images = batch()
    result = changed(images, brightness=0.2)
    ratio = result.float().mean(dim=(1, 2, 3)) / images.float().mean(dim=(1, 2, 3))
    assert ratio.min() > 0.78
    assert ratio.max() < 1.22
    assert ratio.std() > 0.05  # a different factor for each photo


def test_contrast_keeps_the_mean() -> None:
    images = batch()
    result = changed(images, contrast=0.4)
    means = result.float().mean(dim=(1, 2, 3)) - images.float().mean(dim=(1, 2, 3))
    spread = result.float().std(dim=(1, 2, 3)) / images.float().std(dim=(1, 2, 3))
    assert means.abs().max() < 1.5
    assert 0.55 < spread.min() < 0.95
    assert 1.05 < spread.max() < 1.45


def test_gamma_changes_midtones_but_not_black_and_white() -> None:
    images = torch.tensor([0, 64, 128, 255], dtype=torch.uint8).view(1, 1, 2, 2)
    result = changed(images.expand(64, 3, 2, 2), gamma=0.5)[:, 0].flatten(1).float()
    assert (result[:, 0] == 0).all()
    assert (result[:, 3] == 255).all()
    exponent = (result[:, 2] / 255).log() / torch.tensor(128 / 255).log()
    assert 0.6 < exponent.min() < 0.75  # exp(-0.5) is 0.61
    assert 1.3 < exponent.max() < 1.66  # exp(0.5) is 1.65
    dark = (result[:, 1] / 255).log() / torch.tensor(64 / 255).log()
    torch.testing.assert_close(dark, exponent, atol=0.02, rtol=0)


def test_the_generator_determines_the_result() -> None:
    first, again, other = (changed(batch(), seed, brightness=0.3) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_values_stay_in_range() -> None:
    white = torch.full((8, 3, 12, 12), 255, dtype=torch.uint8)
    white[:, :, 0] = 0
    result = changed(white, brightness=0.9, contrast=0.9)
    assert result.dtype == torch.uint8
    assert result[:, :, 0].float().mean() < result[:, :, 1:].float().mean()
