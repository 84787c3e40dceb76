"""Figures of queues: each is a sum over stays in a queue (`cti.reports.visits`)."""

from __future__ import annotations

from cti.reports.metric import Amount, Good, Grain, Metric, Unit


def _of(name: str) -> Amount:
    return Amount(grain=Grain.VISITS, name=name)


QUEUE_METRICS = (
    Metric(
        name="offered",
        amount=_of("offered"),
        titles={"en": "Offered", "zh": "呼入队列量"},
        texts={
            "en": "Callers who got a place in the queue. A ticket that goes over to a callback counts once, with the"
            " callback. Callers a colleague sent to one agent are not among them, until that agent leaves them to the queue.",
            "zh": "在队列中取得位置的来电。转为回呼的只随回呼计一次；被同事转给某坐席的来电不计，除非其后交还队列。",
        },
        formula="offered = answered + abandoned + short_abandons + sent_elsewhere + lost",
    ),
    Metric(
        name="answered",
        amount=_of("answered"),
        good=Good.UP,
        titles={"en": "Answered", "zh": "接通量"},
        texts={
            "en": "Stays that ended with an agent talking to the caller.",
            "zh": "以坐席与来电者通话结束等待的来电。",
        },
        formula="count of stays answered",
    ),
    Metric(
        name="abandoned",
        amount=_of("abandoned"),
        good=Good.DOWN,
        titles={"en": "Abandoned", "zh": "放弃量"},
        texts={
            "en": "Callers who hung up while they waited, later than the queue's short-abandon limit.",
            "zh": "等待中挂断、且等待超过队列短放弃时限的来电。",
        },
        formula="count of stays abandoned",
    ),
    Metric(
        name="short_abandons",
        amount=_of("short_abandoned"),
        titles={"en": "Short abandons", "zh": "短放弃量"},
        texts={
            "en": "Callers who hung up within the queue's short-abandon limit (the limit included).",
            "zh": "在队列短放弃时限内（含时限）挂断的来电。",
        },
        formula="count of stays given up within short_abandon",
    ),
    Metric(
        name="sent_elsewhere",
        amount=_of("sent_elsewhere"),
        titles={"en": "Sent elsewhere", "zh": "转往他处"},
        texts={
            "en": "Stays that ended by a rule, a key or a supervisor: to voicemail, another queue, a flow, an outside number.",
            "zh": "因规则、按键或班长操作离开队列的来电：转留言、其他队列、流程或外部号码。",
        },
        formula="count of stays that went elsewhere",
    ),
    Metric(
        name="lost",
        amount=_of("lost"),
        good=Good.DOWN,
        titles={"en": "Lost", "zh": "系统中断"},
        texts={
            "en": "Stays that our side ended without any of the above, and callbacks nobody was reached by.",
            "zh": "由系统一方结束的等待，以及未能联系到客户的回呼。",
        },
        formula="count of stays lost",
    ),
    Metric(
        name="turned_away",
        amount=_of("turned_away"),
        good=Good.DOWN,
        titles={"en": "Turned away", "zh": "未能入队"},
        texts={
            "en": "Calls that could not join the queue (closed, full, nobody there, too long a wait). Not offered.",
            "zh": "因关闭、已满、无人或等待过长而未能进入队列的来电；不计入呼入队列量。",
        },
        formula="count of refusals to join",
    ),
    Metric(
        name="service_level",
        amount=_of("in_time"),
        over=_of("level_base"),
        unit=Unit.SHARE,
        good=Good.UP,
        titles={"en": "Service level", "zh": "服务水平"},
        texts={
            "en": "Share answered within the queue's service_level. What it is a share of is chosen by the queue"
            " (service_level_of): answered and abandoned, all offered, offered without short abandons, or answered.",
            "zh": "在队列 service_level 时限内接通的比例。分母由队列的 service_level_of 决定："
            "接通加放弃、全部呼入、除短放弃外的呼入，或接通。",
        },
        formula="answered within the threshold / what service_level_of says",
    ),
    Metric(
        name="answered_in_time",
        amount=_of("in_time"),
        good=Good.UP,
        titles={"en": "Answered in time", "zh": "及时接通量"},
        texts={"en": "Answered within the queue's service_level.", "zh": "在队列 service_level 时限内接通的来电。"},
        formula="count of stays answered within the threshold",
    ),
    Metric(
        name="asa",
        amount=_of("answer_wait_ms"),
        over=_of("answered"),
        unit=Unit.SECONDS,
        good=Good.DOWN,
        titles={"en": "Average speed of answer", "zh": "平均应答速度"},
        texts={
            "en": "Mean wait of those who were answered, from their place in the queue to talk.",
            "zh": "接通来电从入队到通话的平均等待时间。",
        },
        formula="wait of answered / answered",
    ),
    Metric(
        name="abandonment_rate",
        amount=_of("abandoned"),
        over=_of("decided"),
        unit=Unit.SHARE,
        good=Good.DOWN,
        titles={"en": "Abandonment rate", "zh": "放弃率"},
        texts={
            "en": "Share of callers who hung up waiting, among those answered or abandoned. Short abandons are left out.",
            "zh": "放弃量占接通与放弃之和的比例，不含短放弃。",
        },
        formula="abandoned / (answered + abandoned)",
    ),
    Metric(
        name="abandon_wait",
        amount=_of("abandon_wait_ms"),
        over=_of("abandoned"),
        unit=Unit.SECONDS,
        titles={"en": "Wait before giving up", "zh": "平均放弃等待"},
        texts={"en": "Mean wait of those who abandoned.", "zh": "放弃来电的平均等待时间。"},
        formula="wait of abandoned / abandoned",
    ),
    Metric(
        name="wait_error",
        amount=_of("promise_error_ms"),
        over=_of("promises"),
        unit=Unit.SECONDS,
        good=Good.DOWN,
        titles={"en": "Expected-wait error", "zh": "预计等待误差"},
        texts={
            "en": "Mean difference of the wait expected at joining and the real one, among those answered.",
            "zh": "接通来电入队时的预计等待与实际等待之差的平均绝对值。",
        },
        formula="|expected - real| / promises answered",
    ),
    Metric(
        name="wait_inside",
        amount=_of("promise_inside"),
        over=_of("promises"),
        unit=Unit.SHARE,
        good=Good.UP,
        titles={"en": "Expected wait was right", "zh": "预计等待准确率"},
        texts={
            "en": "Share of real waits within the range expected at joining; 0.8 is aimed at.",
            "zh": "实际等待落在入队时预计范围内的比例；目标为 0.8。",
        },
        formula="waits inside the range / promises answered",
    ),
)
