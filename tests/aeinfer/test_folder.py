"""Folder jobs: every result has one place, nothing is overwritten unasked, order and shards are fixed."""

import errno
import ntpath
import os
from pathlib import Path, PureWindowsPath
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aeinfer import collisions, folder, naming
from aeinfer.errors import InputError
from aeinfer.folder import Job, Plan, parse_shard, plan
from aeinfer.inputs import list_images, list_inputs


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current folder with in/ (img2, img10, inner/img1, text, hidden) and one.png."""
    monkeypatch.chdir(tmp_path)
    for name in ("in/img10.png", "in/img2.PNG", "in/inner/img1.jpg", "in/notes.txt", "in/.hidden.png", "one.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")
    return tmp_path


def targets(*arguments: object, **options: object) -> list[str]:
    return [job.target.as_posix() for job in plan(*arguments, **options).jobs]


@pytest.mark.usefixtures("tree")
def test_results_stand_beside_their_inputs() -> None:
    assert targets(["in/"]) == ["in-denoised/img2.PNG", "in-denoised/img10.png"]
    assert targets(["in"], recursive=True)[-1] == "in-denoised/inner/img1.jpg"
    assert targets(["one.png"]) == ["one-denoised.png"]
    assert targets(["one.png"], label="noisy") == ["one-noisy.png"]
    assert targets(["one.png"], suffix=".webp") == ["one-denoised.webp"]


@pytest.mark.usefixtures("tree")
def test_inputs_are_listed_once_by_name() -> None:
    found = list_inputs(["one.png", "in", "in/img2.PNG", "in/img1*", "gone"], recursive=True)
    assert found.images == [
        ("img2.PNG", Path("in/img2.PNG")),
        ("img10.png", Path("in/img10.png")),
        ("inner/img1.jpg", Path("in/inner/img1.jpg")),
        ("one.png", Path("one.png")),
    ]
    assert found.failures == [("gone", "no such file or folder")]
    assert found.failures == plan(["one.png", "gone"]).failures


@pytest.mark.usefixtures("tree")
def test_results_go_where_they_are_told() -> None:
    assert targets(["one.png"], "out/new.png") == ["out/new.png"]
    assert targets(["one.png"], "out") == ["out/one.png"]
    assert targets(["one.png", "in/img2.PNG"], "out") == ["out/img2.PNG", "out/one.png"]
    assert targets(["in"], "out", recursive=True, suffix=".jpg") == [
        "out/img2.jpg",
        "out/img10.jpg",
        "out/inner/img1.jpg",
    ]
    with pytest.raises(InputError, match="name a folder"):
        plan(["one.png", "in/img2.PNG"], "out.png")
    with pytest.raises(InputError, match="does not end in"):
        plan(["one.png"], "out.png", suffix=".webp")
    with pytest.raises(InputError, match="is a file"):
        plan(["in"], "one.png")


def test_the_folder_one_stands_in_has_a_name(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tree / "in" / "inner")
    assert targets(["."]) == [(tree / "in" / "inner-denoised" / "img1.jpg").as_posix()]
    assert targets([".."])[0] == (tree / "in-denoised" / "img2.PNG").as_posix()
    with pytest.raises(InputError, match="-o"):
        plan([os.sep])


@pytest.mark.usefixtures("tree")
def test_patterns_named_files_and_missing_inputs() -> None:
    found = plan(["in/*.png", "in/**/*.jpg", "in/notes.txt", "gone.png", "no*.png"])
    assert [job.relative for job in found.jobs] == ["img1.jpg", "img10.png", "notes.txt"]
    assert found.missing == ("gone.png", "no*.png")
    Path("a[1].png").touch()
    assert targets(["a[1].png"]) == ["a[1]-denoised.png"]  # a file of that very name comes before the pattern


@pytest.mark.usefixtures("tree")
def test_patterns_are_expanded_where_the_system_has_no_such_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither of Windows' shells expands them."""
    stat = Path.stat

    def refuse(path: Path, **options: bool) -> os.stat_result:
        if "*" in path.name:
            raise OSError(errno.EINVAL, "The filename, directory name, or volume label syntax is incorrect", str(path))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", refuse)
    found = plan(["in/*.png", "no*.png"])
    assert [job.relative for job in found.jobs] == ["img10.png"]
    assert (found.missing, found.unreadable) == (("no*.png",), ())


@pytest.mark.usefixtures("tree")
def test_an_empty_name_is_not_the_current_folder() -> None:
    for arguments in ([""],), (["one.png"], ""), (["one.png", ""], "out"):
        with pytest.raises(InputError, match="is empty"):
            plan(*arguments)


@pytest.mark.usefixtures("tree")
def test_what_goes_while_a_pattern_is_expanded_is_no_input(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in/gone.png").symlink_to("nothing")
    monkeypatch.setattr("os.path.exists", lambda _path: True)  # when it was looked for
    assert [path.name for path in list_inputs(["in/*.png"]).files] == ["img10.png"]


def test_one_file_named_twice_is_one_job(tree: Path) -> None:
    assert targets(["one.png", "./one.png", tree / "one.png"], "out") == ["out/one.png"]


@pytest.mark.usefixtures("tree")
def test_only_images_that_are_not_hidden_in_natural_order() -> None:
    assert [path.name for path in list_images(Path("in"), recursive=True)] == ["img2.PNG", "img10.png", "img1.jpg"]


@pytest.mark.usefixtures("tree")
def test_collisions_are_all_listed_and_nothing_is_planned() -> None:
    for name in ("in/a.png", "in/a.jpg", "in/b.png", "in/b.webp"):
        Path(name).touch()
    with pytest.raises(InputError) as caught:
        plan(["in"], suffix=".png")
    message = str(caught.value)
    assert "a.jpg" in message
    assert "b.webp" in message
    assert "img2" not in message


@pytest.mark.usefixtures("tree")
def test_unsafe_places_are_refused() -> None:
    with pytest.raises(InputError, match="inside the input folder"):
        plan(["in"], "in/out")
    with pytest.raises(InputError, match="would replace it"):
        plan(["in"], "in")
    with pytest.raises(InputError, match="would replace it"):
        plan(["one.png"], "one.png", on_exist="overwrite")
    with pytest.raises(InputError, match="would replace it"):
        plan(["one.png"], ".")
    Path("link").symlink_to("in", target_is_directory=True)
    with pytest.raises(InputError, match="would replace it"):
        plan(["in"], "link")
    Path("one-denoised.png").touch()
    with pytest.raises(InputError, match="another input"):
        plan(["one.png", "one-denoised.png"], on_exist="overwrite")
    assert [job.action for job in plan(["one.png", "one-denoised.png"]).jobs] == ["write", "skip"]
    Path("in-denoised/img10.png").mkdir(parents=True)
    with pytest.raises(InputError, match=r"its result .*img10\.png is a folder"):
        plan(["in"])
    with pytest.raises(InputError, match=r"one\.png: its result would replace the report out/\.\./a\.png"):
        plan(["one.png"], "a.png", report="out/../a.png")
    Path("x" * 250 + ".png").touch()  # has no room for a longer name: that is its own failure, not the job's
    Path("out").mkdir()
    assert [job.action for job in plan(["x*.png"], "out", name="{stem}-clean{suffix}").jobs] == ["write"]


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize(("output", "reason"), [("in", "would replace it"), ("in/out", "inside the input folder")])
def test_a_folder_chosen_badly_is_said_once_and_not_of_each_file(output: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        plan(["in"], output, recursive=True)
    _, *problems = str(caught.value).splitlines()
    assert len(problems) == 1
    assert problems[0].startswith(f"  in/img2.PNG: its result {output}/img2.PNG")
    assert problems[0].endswith("and so would 2 more; name another place for the results")


@pytest.mark.usefixtures("tree")
def test_existing_results_are_skipped_overwritten_or_an_error() -> None:
    Path("in-denoised").mkdir()
    Path("in-denoised/img10.png").write_bytes(b"a result")
    assert [job.action for job in plan(["in"]).jobs] == ["write", "skip"]
    assert plan(["in"]).pending == 1
    assert [job.action for job in plan(["in"], on_exist="overwrite").jobs] == ["write", "overwrite"]
    with pytest.raises(InputError, match=r"img10\.png exists"):
        plan(["in"], on_exist="error")
    assert [job.action for job in plan(["in"], on_exist="error", shard=(1, 2)).jobs] == ["write"]  # not its result
    with pytest.raises(InputError, match=r"img10\.png exists"):
        plan(["in"], on_exist="error", shard=(2, 2))


@pytest.mark.usefixtures("tree")
def test_an_empty_file_is_no_result_but_may_be_an_original() -> None:
    Path("in-denoised").mkdir()
    Path("in-denoised/img10.png").touch()  # as a power cut leaves one whose data were not on the disk yet
    assert [job.action for job in plan(["in"]).jobs] == ["write", "overwrite"]
    assert [job.action for job in plan(["in"], on_exist="error").jobs] == ["write", "overwrite"]
    Path("one-denoised.png").touch()
    assert [job.action for job in plan(["one.png", "one-denoised.png"]).jobs] == ["write", "skip"]


@pytest.mark.usefixtures("tree")
def test_the_results_of_a_job_are_no_inputs_where_it_is_started_again() -> None:
    for name, result in ((None, "in/img10-denoised.png"), ("{stem}-x{suffix}", "in/img10-x.png")):
        Path(result).write_bytes(b"done")
        again = plan(["in/*.png", "in/*.PNG"], name=name, shard=(2, 2))
        assert [(job.relative, job.action) for job in again.jobs] == [("img10.png", "skip")]
        Path(result).unlink()
    Path("one-denoised.png").write_bytes(b"done")
    with pytest.raises(InputError, match="would replace another input"):
        plan(["*.png"], on_exist="overwrite")
    pair = (Path("one.png"), Path("one-denoised.png")), (Path("one-denoised.png"), Path("two.png"))
    assert [job.action for job in plan([], pairs=pair).jobs] == ["write", "skip"]  # as they were named one by one


@pytest.mark.usefixtures("tree")
@pytest.mark.parametrize("output", [None, "clean"])
def test_folders_of_results_are_no_inputs_where_a_pattern_finds_them(output: str | None) -> None:
    for pattern in ("**/*[gG]", "*"):
        first = plan([pattern], output, recursive=True)
        assert {job.action for job in first.jobs} == {"write"}
        for job in first.jobs[1:]:
            job.target.parent.mkdir(parents=True, exist_ok=True)
            job.target.write_bytes(b"done")
        again = plan([pattern], output, recursive=True)
        assert [(job.source, job.target) for job in again.jobs] == [(job.source, job.target) for job in first.jobs]
        assert [job.action for job in again.jobs] == ["write"] + ["skip"] * (len(again.jobs) - 1)
        for job in first.jobs[1:]:
            job.target.unlink()
    Path("in-denoised").mkdir(exist_ok=True)
    Path("in-denoised/other.png").touch()
    with pytest.raises(InputError, match="inside the input folder"):
        plan(["in", "in-denoised"])


def test_where_names_the_file_or_the_common_folder(tree: Path) -> None:
    assert plan(["one.png"]).where == Path("one-denoised.png")
    assert plan(["in"], recursive=True).where == Path("in-denoised")
    assert plan(["in", tree / "one.png"]).where == tree


def test_there_is_no_common_folder_of_several_drives(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [Job(Path("in.png"), PureWindowsPath(f"{drive}:/out/in.png"), "in.png", "write") for drive in "CCD"]
    monkeypatch.setattr(folder, "os", SimpleNamespace(path=ntpath))
    assert Plan(tuple(jobs[:2]), 2).where == Path("C:\\out")
    assert Plan(tuple(jobs), 3).where is None


@pytest.mark.usefixtures("tree")
def test_templates_name_the_results() -> None:
    assert targets(["in"], name="{stem}-clean{suffix}") == ["in-denoised/img2-clean.PNG", "in-denoised/img10-clean.png"]
    assert targets(["one.png"], name="{stem}.webp") == ["one.webp"]
    assert targets(["in"], "out", recursive=True, suffix=".jpg", name="{index:02}-{parent}{suffix}") == [
        "out/01-in.jpg",
        "out/02-in.jpg",
        "out/inner/03-inner.jpg",
    ]
    with pytest.raises(InputError, match="all would become"):
        plan(["in"], "out", name="{parent}.png")
    with pytest.raises(InputError, match="name a folder"):
        plan(["one.png"], "out.png", name="{stem}{suffix}")


WRONG = ["{stem", "{size}{suffix}", "{}{suffix}", "{stem!r}{suffix}", "{stem.x}{suffix}", "{stem:>9}{suffix}", "{stem}"]
WRONG += ["../{stem}{suffix}", "/{stem}{suffix}", "", "{stem}.txt"]
WRONG += ["{index:q}{suffix}", "{index:999999999}{suffix}", "{index:c}{suffix}"]


@pytest.mark.parametrize("template", WRONG)
def test_wrong_templates_are_refused(template: str) -> None:
    with pytest.raises(InputError, match="the name"):
        plan(["one.png"], name=template)
    with pytest.raises(InputError, match="format asked for"):
        plan(["one.png"], name="{stem}.png", suffix=".webp")


@pytest.mark.parametrize("template", ["C:{stem}{suffix}", "\\{stem}{suffix}", "C:\\{stem}{suffix}"])
def test_no_template_leads_to_another_drive(template: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(naming, "Path", PureWindowsPath)
    with pytest.raises(InputError, match="leads out"):
        naming.check_template(template, None)


@pytest.mark.usefixtures("tree")
def test_results_named_one_by_one() -> None:
    named = [(Path("one.png"), Path("new/1.webp")), (Path("gone.png"), Path("2.png"))]
    found = plan([], "out", pairs=named)
    assert [(job.source.name, job.target.as_posix()) for job in found.jobs] == [("one.png", "out/new/1.webp")]
    assert found.missing == ("gone.png",)
    assert plan([Path("one.p*")]).missing == ("one.p*",)  # a path is no pattern
    with pytest.raises(InputError, match="ends in none of"):
        plan([], pairs=[(Path("one.png"), Path("text.txt"))])
    with pytest.raises(InputError, match="is a folder"):
        plan([], pairs=[(Path("in"), Path("new.png"))])
    with pytest.raises(InputError, match="all would become"):
        plan(["in/img2.PNG"], "out", pairs=[(Path("one.png"), Path("img2.PNG"))])


@pytest.mark.usefixtures("tree")
def test_circles_of_links_broken_links_and_pipes_end() -> None:
    for name in ("loop", "again", "more"):
        Path("in", name).symlink_to(".", target_is_directory=True)
    Path("in/self.png").symlink_to("self.png")
    Path("in/nothing.png").symlink_to("gone.png")
    os.mkfifo("in/pipe.png")
    found = plan(["in"], "out", recursive=True)
    assert [job.relative for job in found.jobs] == [
        "img2.PNG",
        "img10.png",
        "inner/img1.jpg",
        "nothing.png",
        "self.png",
    ]
    assert targets(["in/**/*.jpg"], "out") == ["out/img1.jpg"]
    assert plan(["in/self.png"]).unreadable[0][0] == "in/self.png"
    assert targets(["in/p*.png"]) == []
    assert targets(["in/pipe.png"], "out") == ["out/pipe.png"]  # who names it has something in it


@pytest.mark.usefixtures("tree")
def test_a_folder_that_cannot_be_listed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    scan = os.scandir

    def refuse(path: str | Path) -> object:
        if Path(path).name == "inner":
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = plan(["in"], recursive=True)
    assert found.unreadable == ((str(Path("in/inner")), "cannot be read: Permission denied"),)
    assert len(found.jobs) == 2


@pytest.mark.usefixtures("tree")
def test_the_disk_is_asked_once_where_a_path_leads(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path of a share on a network is asked for folder by folder."""
    asked: list[str] = []
    real = os.path.realpath
    monkeypatch.setattr(os.path, "realpath", lambda path: asked.append(str(path)) or real(path))
    plan(["in"], "out", recursive=True, name="{stem}-clean{suffix}")
    assert len([path for path in asked if "img" in path]) == 3 * 3  # each source, its place, and its place by name


@pytest.mark.usefixtures("tree")
def test_names_that_differ_by_case_collide_where_the_disk_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("in/IMG2.png").touch()
    probed = []
    monkeypatch.setattr(collisions, "ignores_case", lambda place: probed.append(place) or len(probed) > 1)
    assert len(targets(["in"], "out")) == 3
    with pytest.raises(
        InputError, match=r"in/IMG2\.png, in/img2\.PNG: all would become out/IMG2\.png or out/img2\.PNG"
    ):
        plan(["in"], "out")
    assert probed == [Path.cwd(), Path.cwd()]


@pytest.mark.parametrize("text", ["", "1", "0/3", "4/3", "1/0", "a/b", "-1/2", "1/2/3", "1 / 2"])
def test_wrong_shards_are_refused(text: str) -> None:
    with pytest.raises(InputError, match="shard"):
        parse_shard(text)


NAMES = st.text(st.sampled_from("ab01é"), min_size=1, max_size=3)
FILES = st.sets(
    st.builds(
        lambda folders, stem, suffix: "/".join([*folders, stem + suffix]),
        st.lists(NAMES.map(lambda name: "d" + name), max_size=2),
        NAMES,
        st.sampled_from([".png", ".PNG", ".jpg", ".txt"]),
    ),
    max_size=12,
)


@settings(max_examples=60)
@given(files=FILES, suffix=st.sampled_from([None, ".png"]), recursive=st.booleans(), shards=st.integers(1, 4))
def test_no_two_sources_share_a_target_and_shards_add_up(
    tmp_path_factory: pytest.TempPathFactory, files: set[str], suffix: str | None, recursive: bool, shards: int
) -> None:
    root = tmp_path_factory.mktemp("tree") / "in"
    root.mkdir()
    for name in files:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    expected = {name for name in files if not name.endswith(".txt") and (recursive or "/" not in name)}
    try:
        whole = plan([root], recursive=recursive, suffix=suffix)
    except InputError:
        stems = [Path(name).with_suffix("") for name in expected]
        assert suffix is not None
        assert len(set(stems)) < len(stems)
        return
    assert {job.relative for job in whole.jobs} == expected
    assert len({job.target for job in whole.jobs}) == len(whole.jobs)
    assert all(root not in job.target.parents for job in whole.jobs)
    for number in range(shards):
        part = plan([root], recursive=recursive, suffix=suffix, shard=(number + 1, shards))
        assert part.jobs == whole.jobs[number::shards]
