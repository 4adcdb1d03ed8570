"""The grammar of a space file: every key with its shape and its meaning.

`spaces/README.md` explains it to people; `schema.py` makes the JSON Schema from it. What holds between
keys (low <= high, stages and parameters, fields of the method) is in `axes`, `stages` and `binding`.
"""

from __future__ import annotations

from searchplat.contract import FILE as OWN_FILE
from searchplat.contract.measures import GROUPS
from searchplat.spec.document.shapes import Anything, Field, Fields, Flag, ListOf, MapOf, Number, Tagged, Text
from searchplat.spec.model import BY_MODEL, BY_VALUE, NOTICES

MOST_CONSTRAINTS = 50
MOST_OUTCOMES = 10
NAME = r"[a-z0-9][a-z0-9._-]{0,63}"
_NAME_RULE = "names are 1 to 64 of a-z 0-9 . _ - and start with a letter or digit"
_NAME = Text(NAME, _NAME_RULE, remedy="choose another name, such as my-search")
_FRACTION = Number(above=0, high=1)
_COUNT = Number(integer=True, low=1)
_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_VALUES = MapOf(Anything())

WHEN = Field(
    MapOf(ListOf(Anything(scalar=True), or_one=True), least=1),
    "the axis is active only while each of these parameters has the value (or one of the values) given",
)
_DEFAULT = Field(
    Anything(scalar=True), "its value wherever it is not searched: in other stages, in controls; else the method's own"
)
_CENTRED = Field(
    Fields(
        {
            "center": Field(Number(), "the value believed best, on the axis", required=True),
            "spread": Field(
                Number(above=0),
                "one standard deviation around it; with log a factor > 1; default a quarter of the axis",
            ),
        },
        what="a prior of numbers",
    ),
    "what is believed of its good values before any trial; fades as trials come in",
)
_WEIGHED = Field(
    Fields(
        {"weights": Field(ListOf(Number(above=0), distinct=False), "one a choice, > 0", required=True)},
        what="a prior of choices",
    ),
    "what is believed of its good choices before any trial (of a layout: of every bit); fades as trials come in",
)
_REAL = {
    "low": Field(Number(), "smallest value, included", required=True),
    "high": Field(Number(), "largest value, included", required=True),
    "log": Field(Flag(), "search the logarithm; needs low > 0; default false"),
    "step": Field(Number(above=0), "a grid from low with this step; not together with log"),
    "default": _DEFAULT,
    "prior": _CENTRED,
    "when": WHEN,
}
_WHOLE = {
    "low": Field(Number(integer=True), "smallest value, included", required=True),
    "high": Field(Number(integer=True), "largest value, included", required=True),
    "log": Field(Flag(), "search the logarithm; needs low >= 1; default false"),
    "step": Field(_COUNT, "a grid from low with this step; not together with log; default 1"),
    "default": _DEFAULT,
    "prior": _CENTRED,
    "when": WHEN,
}
_CATEGORICAL = {
    "choices": Field(ListOf(Anything(scalar=True), most=1000), "the values, all different", required=True),
    "ordered": Field(Flag(), "whether neighbours in the list are alike; default false"),
    "default": _DEFAULT,
    "prior": _WEIGHED,
    "when": WHEN,
}
_LAYOUT = {
    "per_layer": Field(
        ListOf(Text(r"[a-z0-9_]+", "role names are of a-z 0-9 _"), most=100), "roles of a layer", required=True
    ),
    "choices": Field(
        ListOf(Text(r"[a-z0-9_-]+", "choice names are of a-z 0-9 _ -"), 2, 2),
        "the meanings of bit 0 and bit 1",
        required=True,
    ),
    "layers": Field(_COUNT, "number of layers; by default the method says"),
    "at_most": Field(
        MapOf(Number(integer=True, low=0), least=1), "for a choice, the largest number of bits that may have it"
    ),
    "default": _DEFAULT,
    "prior": _WEIGHED,
    "when": WHEN,
}
AXIS = Tagged(
    "type",
    {
        kind: Fields({"type": Field(Text(), "the kind of axis"), **fields}, what=f"an axis of type {kind}")
        for kind, fields in {
            "float": _REAL,
            "int": _WHOLE,
            "categorical": _CATEGORICAL,
            "bool": {"default": _DEFAULT, "prior": _WEIGHED, "when": WHEN},
            "layout": _LAYOUT,
        }.items()
    },
    doc="the kind of axis",
)

DATA = Fields(
    {
        "name": Field(
            Text(), "an installed data set, see `searchplat data`; or file: my.csv, user: ..., item: ...", required=True
        )
    },
    open=Anything(),
    instead={"name": OWN_FILE},
)
OBJECTIVE = Fields(
    {
        "metric": Field(
            Text(
                r"(valid|time|memory)/[A-Za-z0-9_./@-]+|parameters",
                "an objective is a validation metric, valid/..., or what that costs: time/..., memory/..., parameters",
                remedy="use valid/mrr",
            ),
            "a metric that trials report: valid/...; behind the first also time/..., memory/... or parameters",
            required=True,
        ),
        "direction": Field(Text(words=("maximize", "minimize")), "maximize or minimize", required=True),
    },
    what="an objective",
)
SEARCHER = Fields({"name": Field(Text(), "random, grid, tpe, gp, cmaes, nsga2 or pr", required=True)}, open=Anything())
_GRACE = Field(_COUNT, "epochs that every trial gets; default 1")
SCHEDULER = Tagged(
    "name",
    {
        kind: Fields({"name": Field(Text(), "asha, median or none"), **fields}, what=f"the scheduler {kind}")
        for kind, fields in {
            "asha": {
                "grace": _GRACE,
                "reduction": Field(
                    Number(integer=True, low=2), "the share of trials kept at a rung is 1 / reduction; default 3"
                ),
            },
            "median": {
                "grace": _GRACE,
                "min_trials": Field(
                    _COUNT, "trials that must have reported at an epoch before any is stopped there; default 3"
                ),
            },
            "none": {},
        }.items()
    },
    doc="asha, median or none",
)
_SEEDS = Field(
    Text(words=("own", "shared")),
    "own: every trial has a seed of its own; shared: all have the same, of which each repeat has the next; default own",
)
_REPEATS = Field(
    Fields(
        {
            "share": Field(Number(above=0, high=0.5), "share of the stage's trials that are repeats", required=True),
            "top": Field(_COUNT, "how many of the best configurations they are of; default 3"),
        },
        what="repeats",
    ),
    "train the best configurations again on other seeds, and rank by the mean of the trainings",
)
_POINTS = Field(
    ListOf(_VALUES),
    "values of some or all of its parameters, each tried first; what is missing has its default, else is drawn",
)
_STOP = Field(
    Fields(
        {
            "gain": Field(Number(above=0), "of the best, in the objective's units", required=True),
            "trials": Field(_COUNT, "over how many trials; default 10"),
            "after": Field(_COUNT, "trials with a value before which it never ends; default 20"),
        },
        what="stop",
    ),
    "begin no more trials once the next ones can be expected to gain less; by default all trials are run",
)
STAGE = Fields(
    {
        "name": Field(_NAME, "the stage's name", required=True),
        "over": Field(ListOf(Text(), least=0), "the parameters that it searches", required=True),
        "searcher": Field(SEARCHER, "how it searches", required=True),
        "trials": Field(_COUNT, "how many trials it runs, at most", required=True),
        "hours": Field(
            Number(above=0), "no more trials begin once its trials trained this long together; by default no bound"
        ),
        "gpu_hours": Field(Number(above=0), "the same, each hour counted by the trial's share of a GPU"),
        "priority": Field(
            Number(integer=True), "of stages that can go on at once, the highest gets a free slot first; default 0"
        ),
        "data_fraction": Field(_FRACTION, "share of the users, in (0, 1]; default 1"),
        "seeds": _SEEDS,
        "repeats": _REPEATS,
        "points": _POINTS,
        "stop": _STOP,
        "fixed": Field(_VALUES, "values of this stage only, over the file's fixed"),
        "from": Field(
            Fields(
                {
                    "stage": Field(Text(), "an earlier stage", required=True),
                    "top": Field(_COUNT, "choose among its best trials, this many; default 1"),
                    "by": Field(
                        Text(words=(BY_VALUE, BY_MODEL)),
                        "value: the best are those with the best values; model: those of which a model of its trials "
                        "says that they are worth most without their noise; default value",
                    ),
                },
                what="from",
            ),
            "take over the values of an earlier stage's best trial",
        ),
        "scheduler": Field(SCHEDULER, "instead of the file's scheduler"),
    },
    what="a stage",
)
CONTROL = Fields(
    {
        "name": Field(_NAME, "how tables name it", required=True),
        "values": Field(_VALUES, "values over the method's defaults and the file's fixed"),
        "all": Field(Text(), "this choice for every bit of the layout"),
        "method": Field(Text(), "another method, with its own defaults; fixed does not apply"),
        "random": Field(Flag(), "draw the searched parameters at random; default false"),
        "trials": Field(_COUNT, "number of trials, of different seeds or draws; default 1"),
        "data_fraction": Field(_FRACTION, "share of the users; default: that of the last stage"),
        "drop": Field(Flag(), "true, in a scale: leave out the file's control of this name"),
    },
    what="a control",
)
RESOURCES = Fields(
    {
        "cpu": Field(Number(above=0, words=("auto",)), "CPU cores of a trial, or auto: a measured share; default 1"),
        "gpu": Field(
            Number(low=0, words=("auto",)), "GPUs of a trial, or auto (default): a measured share where there is one"
        ),
        "workers": Field(
            _COUNT, "processes that train a trial together, each with so many CPU cores and GPUs; default 1"
        ),
        "concurrent": Field(_COUNT, "trials at once; by default as many as fit"),
        "timeout_s": Field(Number(above=0), "seconds of silence after which a trial is stopped; by default none"),
        "probe_s": Field(
            Number(low=0),
            "seconds that measuring a share may take a stage; by default a twentieth of its expected time",
        ),
    },
    what="resources",
)
PROMOTION = Fields(
    {
        "top": Field(_COUNT, "how many configurations are trained at full scale; default 3"),
        "race": Field(
            Number(integer=True, low=0),
            "on how many fresh seeds they race before, at the search's scale; default 3; 0 for no race",
        ),
        "seeds": Field(_COUNT, "with how many seeds each; default 5"),
        "epochs": Field(_COUNT, "for how many epochs at most; by default the configuration's own"),
        "patience": Field(_COUNT, "stop after this many epochs without a better validation; default 5"),
        "data_fraction": Field(_FRACTION, "on which share of the users; default 1"),
        "test": Field(
            ListOf(
                Text(
                    rf"((sampled|{'|'.join(GROUPS)})/)?[a-z][a-z0-9_]*(@[1-9][0-9]*)?",
                    "test metrics are named like mrr, sampled/ndcg@10 or cold/ndcg@10",
                )
            ),
            "the metrics measured once on the test split; default mrr, recall@10, ndcg@10; sampled/ndcg@10 is among "
            "sampled items, where the method's sampled_negatives says how many; cold/ndcg@10 is over the users whose "
            "test item is cold, one of the 35 % of all items with the fewest training interactions; docs/measures.md "
            "has the other groups and metrics",
        ),
    },
    what="promotion",
)

NOTIFY = Fields(
    {
        "url_env": Field(
            Text(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable", remedy="the URL goes into it"),
            "the environment variable that holds a webhook's URL; it gets JSON, which Slack shows",
        ),
        "url_file": Field(Text(), "the file that holds a webhook's URL"),
        "command": Field(
            ListOf(Text(), distinct=False),
            "the words of a command, without a shell; {message} and others are filled in",
        ),
        "on": Field(
            ListOf(Text(words=NOTICES), or_one=True),
            "of what is told: end, failure, best (a new best value); default all three",
        ),
    },
    what="notify",
)

_BODY = {
    "method": Field(
        Text(), "an installed method; see `searchplat methods`; or module:attribute, with --allow-import", required=True
    ),
    "data": Field(DATA, "the data set, and its own options", required=True),
    "objective": Field(ListOf(OBJECTIVE, or_one=True), "the metric to improve, or a list of them", required=True),
    "fixed": Field(_VALUES, "values of the method's fields that are not searched"),
    "search": Field(
        MapOf(AXIS, _IDENTIFIER, "a parameter is named like a field of the method"), "the axes: parameter to domain"
    ),
    "constraints": Field(
        ListOf(Text(), most=MOST_CONSTRAINTS),
        "what must hold between parameters: expressions such as low < high, width % heads == 0",
    ),
    "outcomes": Field(
        ListOf(Text(), most=MOST_OUTCOMES),
        "bounds on metrics that trials report, such as time/train_seconds <= 60; trials that keep them come first",
    ),
    "stages": Field(ListOf(STAGE), "the stages, in order; without them, searcher and trials"),
    "searcher": Field(SEARCHER, "how to search, if there are no stages"),
    "trials": Field(_COUNT, "how many trials, if there are no stages"),
    "hours": Field(Number(above=0), "how long they may train together, if there are no stages"),
    "gpu_hours": Field(Number(above=0), "how many GPU hours they may take together, if there are no stages"),
    "data_fraction": Field(_FRACTION, "share of the users, if there are no stages; default 1"),
    "seeds": Field(_SEEDS.shape, "own or shared seeds of the trials, if there are no stages; default own"),
    "repeats": Field(_REPEATS.shape, "repeats of the best configurations, if there are no stages"),
    "points": Field(_POINTS.shape, "values to try first, if there are no stages"),
    "stop": Field(_STOP.shape, "when to end before all trials were run, if there are no stages"),
    "scheduler": Field(SCHEDULER, "what may stop a trial early; by default nothing"),
    "resources": Field(RESOURCES, "what a trial takes"),
    "promotion": Field(PROMOTION, "how winners are trained and tested"),
    "controls": Field(ListOf(CONTROL), "configurations that run beside the search, for comparison"),
    "seed": Field(Number(integer=True, low=0, high=2**32 - 1), "seeds searchers and trials; default 0"),
    "notify": Field(ListOf(NOTIFY, or_one=True), "who is told how the search stands, or a list of such"),
}
BODY = Fields(_BODY, what="a space file", elsewhere=("scales", "default_scale"))
"""A document at one scale: the keys `scales` and `default_scale` are gone."""

SCALES = MapOf(Anything(), NAME, _NAME_RULE, least=1)
"""A scale is a part of a document: it is checked after it has been merged."""

FILE = Fields(
    {
        **_BODY,
        "scales": Field(SCALES, "the same search at other sizes: name to a part of a document, merged over this one"),
        "default_scale": Field(_NAME, "the scale when none is asked for; by default quick, if there is one"),
    },
    what="a space file",
)
