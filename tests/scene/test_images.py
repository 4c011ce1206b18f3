import struct
import zlib
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from gen3r.scene.export.video import write_h264
from gen3r.scene.images import image_size, read_image, read_images
from gen3r.scene.limits import evenly_spread


@pytest.fixture
def picture() -> np.ndarray:
    """A smooth uint8 picture with a different gradient along each axis and channel."""
    y, x = np.mgrid[0:24, 0:36]
    return np.stack([x * 7, y * 10, 255 - x * 3 - y * 5], axis=-1).astype(np.uint8)


def bytes_of(image):
    return (image.permute(1, 2, 0) * 255).round().byte().numpy()


def png_header(width, height):
    """A PNG that claims a size and ends where its pixels begin."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 1000) + b"IDAT"


class TestReading:
    @pytest.mark.parametrize(
        ("suffix", "options", "error"),
        [
            ("png", {}, 0),
            ("webp", {"lossless": True}, 0),
            ("jpg", {"quality": 95}, 8),
            ("webp", {"quality": 95}, 20),
        ],
    )
    def test_pixels(self, tmp_path, picture, suffix, options, error):
        path = tmp_path / f"picture.{suffix}"
        Image.fromarray(picture).save(path, **options)
        image = read_image(path)
        assert image.dtype == torch.float32
        assert image.shape == (3, 24, 36)
        assert np.abs(bytes_of(image).astype(int) - picture).max() <= error

    def test_wrong_suffix_does_not_matter(self, tmp_path, picture):
        Image.fromarray(picture).save(tmp_path / "picture.jpg", format="PNG")
        assert (bytes_of(read_image(tmp_path / "picture.jpg")) == picture).all()

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_exif_orientation(self, tmp_path, picture, orientation):
        undo = {
            2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
            5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
            8: Image.Transpose.ROTATE_270,
        }  # fmt: skip
        stored = Image.fromarray(picture)
        if orientation in undo:
            stored = stored.transpose(undo[orientation])
        exif = Image.Exif()
        exif[0x0112] = orientation
        stored.save(tmp_path / "phone.png", exif=exif)
        assert (bytes_of(read_image(tmp_path / "phone.png")) == picture).all()
        assert image_size(tmp_path / "phone.png") == picture.shape[:2]

    def test_alpha_is_composed_over_white(self, tmp_path, picture):
        alpha = np.zeros((24, 36, 1), dtype=np.uint8)
        alpha[:, 12:24], alpha[:, 24:] = 128, 255
        Image.fromarray(np.concatenate([picture, alpha], axis=-1)).save(tmp_path / "cut.png")
        image = bytes_of(read_image(tmp_path / "cut.png"))
        assert (image[:, :12] == 255).all()
        half = picture[:, 12:24] * (128 / 255) + 255 * (127 / 255)
        assert np.abs(image[:, 12:24] - half).max() <= 0.51
        assert (image[:, 24:] == picture[:, 24:]).all()

    def test_transparent_palette_colour_becomes_white(self, tmp_path):
        palette = Image.new("P", (4, 4), 1)
        palette.putpalette([10, 20, 30, 200, 100, 50])
        palette.putpixel((0, 0), 0)
        palette.save(tmp_path / "p.png", transparency=0)
        image = bytes_of(read_image(tmp_path / "p.png"))
        assert image[0, 0].tolist() == [255, 255, 255]
        assert image[3, 3].tolist() == [200, 100, 50]

    def test_sixteen_bit_grey_keeps_its_precision(self, tmp_path):
        grey = np.linspace(0, 65535, 24 * 36).reshape(24, 36).round().astype(np.uint16)
        Image.fromarray(grey).save(tmp_path / "grey.png")
        image = read_image(tmp_path / "grey.png")
        for channel in image:
            np.testing.assert_allclose(channel.numpy(), grey / 65535, atol=1e-6)

    @pytest.mark.parametrize("mode", ["L", "1", "LA", "CMYK"])
    def test_other_modes_become_rgb(self, tmp_path, picture, mode):
        converted = Image.fromarray(picture).convert(mode)
        path = tmp_path / ("other.jpg" if mode == "CMYK" else "other.png")
        converted.save(path)
        expected = np.asarray(converted.convert("RGB")).astype(int)
        assert np.abs(bytes_of(read_image(path)) - expected).max() <= (12 if mode == "CMYK" else 0)


class TestRefusals:
    def refused(self, path, message):
        with pytest.raises(ValueError, match=message) as caught:
            read_image(path)
        assert path.name in str(caught.value)

    def test_missing(self, tmp_path):
        self.refused(tmp_path / "none.png", "does not exist")

    def test_empty(self, tmp_path):
        (tmp_path / "empty.png").touch()
        self.refused(tmp_path / "empty.png", "0 bytes")

    def test_text(self, tmp_path):
        (tmp_path / "text.png").write_text("not a picture at all")
        self.refused(tmp_path / "text.png", "not an image")

    def test_unknown_suffix(self, tmp_path):
        (tmp_path / "notes.txt").write_text("hello")
        self.refused(tmp_path / "notes.txt", "unsupported type")

    @pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
    def test_truncated(self, tmp_path, picture, suffix):
        path = tmp_path / f"cut.{suffix}"
        Image.fromarray(picture).resize((200, 200)).save(path)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        self.refused(path, "truncated or damaged|not an image")

    @pytest.mark.parametrize("kind", ["GIF", "BMP", "TIFF"])
    def test_other_picture_types_are_named(self, tmp_path, picture, kind):
        Image.fromarray(picture).save(tmp_path / "other.png", format=kind)
        self.refused(tmp_path / "other.png", f"unsupported type {kind}; convert it")

    def test_heic_is_named(self, tmp_path):
        (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(20))
        self.refused(tmp_path / "phone.heic", "unsupported type HEIC; convert it")

    @pytest.mark.parametrize("size", [(10_001, 10_000), (40_000, 40_000), (2**31 - 1, 2**31 - 1)])
    def test_bombs_are_seen_from_their_header(self, tmp_path, size):
        (tmp_path / "bomb.png").write_bytes(png_header(*size))
        self.refused(tmp_path / "bomb.png", "million pixels|too many pixels")

    def test_just_above_the_limit(self, tmp_path):
        """A whole, valid picture of 13 kB: only its size is wrong."""
        path = tmp_path / "bomb.png"
        Image.new("1", (10_001, 10_000)).save(path)
        assert path.stat().st_size < 100_000
        self.refused(path, "10000x10001 = 100.01 million pixels, at most 100 million are read")

    @pytest.mark.parametrize(("width", "height"), [(0, 5), (5, 0), (10, 0), (0, 0)])
    def test_zero_size(self, tmp_path, width, height):
        (tmp_path / "zero.png").write_bytes(png_header(width, height))
        self.refused(tmp_path / "zero.png", f"has zero size \\({height}x{width}\\)")

    def test_no_permission(self, forbidden):
        self.refused(forbidden / "photo.png", "no permission to read")
        for path in (forbidden / "closed", forbidden / "clip.mp4"):
            with pytest.raises(ValueError, match=f"no permission to read .*{path.name}"):
                read_images(path)

    @given(
        st.binary(max_size=200),
        st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0", b"RIFF\x20\0\0\0WEBP"]),
    )
    def test_noise_is_a_value_error(self, tmp_path_factory, noise, magic):
        path = tmp_path_factory.mktemp("noise") / "noise.png"
        path.write_bytes(magic + noise)
        with pytest.raises(ValueError, match=r"noise\.png"):
            read_image(path)


class TestSeveral:
    def folder(self, tmp_path, names):
        for index, name in enumerate(names):
            Image.new("RGB", (8, 6), (index * 20, 0, 0)).save(tmp_path / name)
        return tmp_path

    def test_folders_come_in_natural_order(self, tmp_path):
        folder = self.folder(tmp_path, ["frame10.png", "frame2.PNG", "frame1.jpg"])
        (folder / "captions.txt").write_text("ignored")
        (folder / ".hidden.png").write_text("ignored")
        assert read_images(folder).names == ("frame1.jpg", "frame2.PNG", "frame10.png")

    def test_max_frames_spreads_evenly(self, tmp_path):
        folder = self.folder(tmp_path, [f"{i}.png" for i in range(9)])
        assert read_images(folder, max_frames=3).names == ("0.png", "4.png", "8.png")

    def test_sizes_must_agree_unless_one_is_asked_for(self, tmp_path):
        Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
        Image.new("RGB", (9, 6)).save(tmp_path / "b.png")
        with pytest.raises(ValueError, match="pass a size"):
            read_images(tmp_path)
        loaded = read_images(tmp_path, size=(4, 4))
        assert loaded.images.shape == (2, 3, 4, 4)
        assert [(crop.source_height, crop.source_width) for crop in loaded.crops] == [(6, 8), (6, 9)]

    def test_refused_folders(self, tmp_path):
        with pytest.raises(ValueError, match="holds no picture"):
            read_images(tmp_path)
        self.folder(tmp_path, ["1.png"])
        (tmp_path / "2.heic").write_bytes(b"x")
        with pytest.raises(ValueError, match=r"also holds 2\.heic"):
            read_images(tmp_path)

    def test_nothing_given(self):
        with pytest.raises(ValueError, match="no input given"):
            read_images([])

    @given(st.integers(1, 300), st.integers(1, 50))
    def test_evenly_spread_law(self, count, limit):
        chosen = evenly_spread(count, limit)
        assert len(chosen) == min(count, limit)
        assert sorted(set(chosen)) == chosen
        assert chosen[0] == 0
        assert limit == 1 or chosen[-1] == count - 1


class TestVideo:
    @pytest.fixture
    def video(self, tmp_path_factory):
        """12 frames 48x64, frame i is uniformly grey 20 i."""
        path = tmp_path_factory.mktemp("video") / "clip.mp4"
        write_h264(path, (np.full((48, 64, 3), 20 * i, dtype=np.uint8) for i in range(12)))
        return path

    def test_frames_in_order(self, video):
        loaded = read_images(video)
        assert loaded.images.shape == (12, 3, 48, 64)
        torch.testing.assert_close(loaded.images.mean((1, 2, 3)) * 255, 20.0 * torch.arange(12), atol=2, rtol=0)

    def test_max_frames(self, video):
        loaded = read_images(video, size=(16, 16), max_frames=3)
        assert loaded.names == ("clip.mp4#0", "clip.mp4#6", "clip.mp4#11")
        assert loaded.images.shape == (3, 3, 16, 16)

    def test_video_beside_other_inputs(self, video, tmp_path):
        Image.new("RGB", (8, 6)).save(tmp_path / "a.png")
        with pytest.raises(ValueError, match="only input"):
            read_images([tmp_path / "a.png", video])

    def test_damaged(self, video, tmp_path):
        path = tmp_path / "cut.mp4"
        path.write_bytes(video.read_bytes()[:500])
        with pytest.raises(ValueError, match=r"cut\.mp4"):
            read_images(path)
        path.write_text("no video")
        with pytest.raises(ValueError, match="not a readable video"):
            read_images(path)

    def test_missing(self, tmp_path):
        with pytest.raises(ValueError, match="does not exist"):
            read_images(tmp_path / "none.mp4")

    def test_sound_only(self, tmp_path):
        path = tmp_path / "sound.mp4"
        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=8000)
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 8000, 0, Fraction(1, 8000)
            container.mux(stream.encode(frame))
            container.mux(stream.encode())
        with pytest.raises(ValueError, match="no video stream"):
            read_images(path)
