"""Augmentation: what is varied, and what stays."""

from __future__ import annotations

import math

import pytest
import torch

from musictag.hearing.scattering.plan import FrontEnd
from musictag.hearing.scattering.torch import Scattering
from musictag.training import augment, features


def test_a_variant_is_the_same_for_the_same_seed_and_keeps_the_length() -> None:
    samples = torch.randn(46_400, generator=torch.Generator().manual_seed(1))
    once, twice, other = (augment.vary(samples, seed) for seed in (1, 1, 2))
    assert once.shape == samples.shape
    assert torch.equal(once, twice)
    assert not torch.allclose(once, other)


def test_speed_moves_a_tone_by_at_most_six_percent() -> None:
    n = 160_000
    tone = torch.sin(2 * math.pi * 1000 * torch.arange(n) / 16_000)
    found = []
    for seed in range(12):
        spectrum = torch.fft.rfft(augment.vary(tone, seed)).abs()
        found.append(float(spectrum.argmax()) * 16_000 / n)
    assert 935 < min(found) < 970
    assert 1030 < max(found) < 1065


def test_more_gain_in_feature_space_is_more_gain_of_the_samples() -> None:
    scattering = Scattering(FrontEnd())
    moves = features.responses(FrontEnd(), scattering)
    samples = torch.randn(1, 464_000, generator=torch.Generator().manual_seed(3)) * 0.05
    louder = scattering(samples * 10 ** (6 / 20)) - scattering(samples)
    by_order = slice(1, None)  # order 0 of noise crosses zero, where logarithms are steep
    torch.testing.assert_close(
        louder.mean(2)[0, by_order], 6 * moves[0, by_order], atol=0.02, rtol=0
    )
    assert moves[0, 1:77].min() > 0.11  # ln 10 / 20 per dB
    assert moves[:, 77:].abs().max() < 0.01  # ratios of order 2 do not move


def test_an_equaliser_without_gain_changes_nothing_and_knobs_differ_per_example() -> None:
    x = torch.zeros(3, 5, 4)
    assert torch.equal(augment.turn_knobs(x, torch.zeros(9, 5)), x)
    turned = augment.turn_knobs(x, torch.ones(9, 5))
    assert torch.equal(turned, turned[:, :1, :1].expand(3, 5, 4))
    assert turned[:, 0, 0].unique().numel() == 3


def test_a_shift_turns_each_example_in_time() -> None:
    torch.manual_seed(0)
    x = torch.arange(7.0).expand(50, 2, 7)
    shifted = augment.shift(x)
    for row in shifted:
        assert torch.equal(row, x[0].roll(-int(row[0, 0]), dims=1))
    assert shifted[:, 0, 0].unique().numel() > 3


def test_a_crop_is_a_stretch_of_the_frames_beginning_anywhere() -> None:
    torch.manual_seed(0)
    x = torch.arange(8.0).expand(50, 2, 8)
    cropped = augment.crop(x, 0.5)
    assert cropped.shape == (50, 2, 4)
    for row in cropped:
        assert torch.equal(row, x[0].roll(-int(row[0, 0]), dims=1)[:, :4])
    assert cropped[:, 0, 0].unique().numel() > 3


def test_two_sounds_at_once_are_both_heard_as_loud_as_the_first() -> None:
    t = torch.arange(16_000) / 16_000
    one, other = torch.sin(2 * math.pi * 500 * t), 0.01 * torch.sin(2 * math.pi * 2000 * t)
    mixed = augment.overlay(one, other, 1)
    assert torch.equal(mixed, augment.overlay(one, other, 1))
    torch.testing.assert_close(mixed.square().mean(), one.square().mean())
    level = torch.fft.rfft(mixed).abs()
    assert 0.7 < float(level[2000] / level[500]) < 1.42  # within 3 dB
    assert torch.isfinite(augment.overlay(torch.zeros(8), torch.ones(8), 1)).all()


def test_a_mixture_has_mixed_labels() -> None:
    torch.manual_seed(0)
    labels = torch.eye(6)
    x, y = augment.mix(labels[:, :, None].expand(6, 6, 2), labels, 0.4)
    torch.testing.assert_close(x[:, :, 0], y)
    torch.testing.assert_close(y.sum(dim=1), torch.ones(6))
    assert not torch.equal(y, labels)


def test_noise_has_no_tags_and_the_rest_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(augment, "NOISE_SHARE", 0.5)
    features_, labels = torch.ones(200, 3, 4), torch.full((200, 2), 0.5)
    found, tags = augment.hush(features_, labels, torch.full((5, 3, 4), 7, dtype=torch.float16))
    noisy = tags[:, 0] == 0
    assert 60 < int(noisy.sum()) < 140
    assert (found[noisy] == 7).all()
    assert (tags[noisy] == 0).all()
    assert (found[~noisy] == 1).all()
    assert (tags[~noisy] == 0.5).all()


def test_noises_go_from_silence_to_loud_and_from_white_to_brown() -> None:
    noise = augment.noises(64, 16_000)
    assert torch.equal(noise, augment.noises(64, 16_000))
    assert not noise[:8].any()
    noise = noise[8:]
    level_db = 10 * noise.square().mean(dim=1).log10()
    assert level_db.min() < -60
    assert level_db.max() > -20
    power = torch.fft.rfft(noise).abs().square()
    treble = power[:, 4000:].sum(dim=1) / power.sum(dim=1)
    assert treble.min() < 0.01  # brown
    assert treble.max() > 0.4  # white


def test_masks_put_stretches_to_the_mean_and_touch_nothing_else() -> None:
    torch.manual_seed(0)
    mean = torch.arange(40.0)
    x = torch.full((20, 40, 30), -1.0)
    masked = augment.mask(x, mean)
    hidden = masked != x
    torch.testing.assert_close(masked[hidden], mean[None, :, None].expand_as(x)[hidden])
    frames, coefficients = hidden.all(dim=1).sum(dim=1), hidden.all(dim=2).sum(dim=1)
    assert 0 < frames.max() <= 2 * 5
    assert 0 < coefficients.max() <= 2 * 4
