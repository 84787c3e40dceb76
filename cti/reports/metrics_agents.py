"""Figures of agents: sums over their parts in calls (`cti.reports.talks`) and over their time (`cti.reports.agent_times`)."""

from __future__ import annotations

from cti.reports.metric import Amount, Good, Grain, Metric, Unit


def _of(name: str) -> Amount:
    return Amount(grain=Grain.TALKS, name=name)


def _time(name: str) -> Amount:
    return Amount(grain=Grain.TIMES, name=name)


def _mean(name: str, amount: str, over: str, en: str, zh: str, text_en: str, text_zh: str) -> Metric:
    return Metric(
        name=name,
        amount=_of(amount),
        over=_of(over),
        unit=Unit.SECONDS,
        titles={"en": en, "zh": zh},
        texts={"en": text_en, "zh": text_zh},
        formula=f"{amount.removesuffix('_ms')} / {over}",
    )


def _sum(name: str, amount: Amount, en: str, zh: str, text_en: str, text_zh: str) -> Metric:
    return Metric(
        name=name,
        amount=amount,
        unit=Unit.SECONDS,
        titles={"en": en, "zh": zh},
        texts={"en": text_en, "zh": text_zh},
        formula=f"sum of {amount.name.removesuffix('_ms')}",
    )


def _count(name: str, en: str, zh: str, text_en: str, text_zh: str) -> Metric:
    return Metric(
        name=name, amount=_of(name), titles={"en": en, "zh": zh}, texts={"en": text_en, "zh": text_zh},
        formula=f"count of talks: {name}",
    )  # fmt: skip


AGENT_METRICS = (
    _count(
        "handled",
        "Handled",
        "处理量",
        "Calls an agent talked in; a call with two agents counts once for each.",
        "坐席参与通话的次数；两名坐席参与的通话各计一次。",
    ),
    _mean(
        "aht",
        "handle_ms",
        "handled",
        "Average handling time",
        "平均处理时长",
        "Talk, hold and work after the call, a talk.",
        "每次处理的通话、保持与话后时间之和的平均值。",
    ),
    _mean("talk", "talk_ms", "handled", "Average talk", "平均通话时长", "Talk without hold.", "不含保持的通话时间。"),
    _mean(
        "hold", "hold_ms", "handled", "Average hold", "平均保持时长", "Time the caller was held.", "保持客户的时间。"
    ),
    _mean(
        "wrap_up",
        "wrap_ms",
        "handled",
        "Average work after",
        "平均话后时长",
        "From the agent's last talk to the end of the work after.",
        "从坐席通话结束到话后处理结束的时间。",
    ),
    _sum(
        "talk_time",
        _of("talk_ms"),
        "Talk time",
        "通话总时长",
        "Talk of all agents, hold left out.",
        "全部坐席通话时间，不含保持。",
    ),
    _sum("hold_time", _of("hold_ms"), "Hold time", "保持总时长", "Hold of all agents.", "全部保持时间。"),
    _sum(
        "wrap_time",
        _of("wrap_ms"),
        "Work-after time",
        "话后总时长",
        "Work after calls of all agents.",
        "全部话后处理时间。",
    ),
    _count(
        "transfers_out", "Sent on", "转出量", "Talks in which the agent sent the caller on.", "坐席将来电转出的次数。"
    ),
    _count(
        "conferences",
        "Conferences",
        "会议通话",
        "Talks in which the agent let a third party join.",
        "坐席邀入第三方的次数。",
    ),
    _count(
        "consults",
        "Consultations",
        "咨询",
        "Talks in which the agent asked somebody while the caller held.",
        "坐席在保持客户时咨询他人的次数。",
    ),
    Metric(
        name="occupancy",
        amount=_time("busy_ms"),
        over=_time("staffed_ms"),
        unit=Unit.SHARE,
        titles={"en": "Occupancy", "zh": "工时利用率"},
        texts={
            "en": "Share of the time an agent could serve that went into calls: offered, dialling, talk, hold and work after,"
            " over that and ready.",
            "zh": "坐席可服务时间中用于通话（振铃、拨号、通话、保持、话后）的比例。",
        },
        formula="busy / (busy + ready)",
    ),
    _sum("signed_in_time", _time("signed_in_ms"), "Signed in", "登录时长", "Time not offline.", "非离线时间。"),
    _sum("ready_time", _time("ready_ms"), "Ready", "就绪时长", "Time waiting for calls.", "等待来电的时间。"),
    _sum(
        "busy_time", _time("busy_ms"), "In calls", "忙碌时长", "Time in calls and the work after.", "通话及话后时间。"
    ),
    _sum(
        "not_ready_time",
        _time("not_ready_ms"),
        "Not ready",
        "未就绪时长",
        "Time not ready; by reason: divide by reason.",
        "未就绪时间；可按原因划分。",
    ),
    _sum(
        "state_time",
        _time("ms"),
        "Time by state",
        "各状态时长",
        "All time not offline; divide by state or reason.",
        "全部非离线时间，可按状态或原因划分。",
    ),
    Metric(
        name="not_ready_share",
        amount=_time("not_ready_ms"),
        over=_time("signed_in_ms"),
        unit=Unit.SHARE,
        good=Good.DOWN,
        titles={"en": "Not ready, share", "zh": "未就绪占比"},
        texts={
            "en": "Share of the time signed in that was not ready, for whatever reason.",
            "zh": "登录时间中未就绪时间的比例。",
        },
        formula="not ready / signed in",
    ),
    Metric(
        name="adherence",
        amount=_time("kept_ms"),
        over=_time("signed_in_ms"),
        unit=Unit.SHARE,
        good=Good.UP,
        titles={"en": "Adherence to reasons", "zh": "示忙遵守率"},
        texts={
            "en": "Share of the time signed in that was not beyond what the centre allows a day for each reason of not ready"
            " (not_ready_allowed). By reason: of the time in that reason.",
            "zh": "登录时间中未超出各示忙原因每日允许时长（not_ready_allowed）的比例；按原因划分时为该原因时间的比例。",
        },
        formula="(signed in - beyond allowed) / signed in",
    ),
    _sum(
        "over_allowed_time",
        _time("over_ms"),
        "Not ready beyond allowed",
        "超时示忙时长",
        "Time not ready beyond what the centre allows an agent a day for the reason (not_ready_allowed).",
        "超出该原因每日允许时长（not_ready_allowed）的未就绪时间。",
    ),
)
