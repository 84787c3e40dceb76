"""Figures of whole calls (`cti.reports.call_figures`), of surveys and of complaints."""

from __future__ import annotations

from cti.reports.metric import Amount, Good, Grain, Metric, Unit


def _of(name: str) -> Amount:
    return Amount(grain=Grain.CALLS, name=name)


def _answer(name: str) -> Amount:
    return Amount(grain=Grain.ANSWERS, name=name)


def _count(name: str, en: str, zh: str, text_en: str, text_zh: str, *, good: Good = Good.NEITHER) -> Metric:
    return Metric(
        name=name,
        amount=_of(name),
        good=good,
        titles={"en": en, "zh": zh},
        texts={"en": text_en, "zh": text_zh},
        formula=f"count of calls: {name}",
    )


CALL_METRICS = (
    _count("calls", "Calls", "通话总量", "All calls, each once, whatever became of them.", "全部通话，每通计一次。"),
    _count("inbound", "Inbound calls", "呼入量", "Calls that came in.", "客户打入的通话。"),
    _count("outbound", "Outbound calls", "外呼量", "Calls that agents made to numbers.", "坐席拨出的外部通话。"),
    _count("internal", "Internal calls", "内部通话量", "Calls between colleagues.", "同事之间的通话。"),
    Metric(
        name="outbound_reached",
        amount=_of("outbound_reached"),
        over=_of("outbound"),
        unit=Unit.SHARE,
        good=Good.UP,
        titles={"en": "Outbound reached", "zh": "外呼接通率"},
        texts={"en": "Share of outbound calls that were answered.", "zh": "坐席外呼被接听的比例。"},
        formula="outbound answered / outbound",
    ),
    _count(
        "answered_calls",
        "Calls with a person",
        "人工通话量",
        "Calls in which somebody of ours talked to the other side.",
        "有坐席与对方通话的通话。",
        good=Good.UP,
    ),
    Metric(
        name="effective_answer_rate",
        amount=_of("reached"),
        over=_of("wanted"),
        unit=Unit.SHARE,
        good=Good.UP,
        titles={"en": "Effective answer rate", "zh": "有效接通率"},
        texts={
            "en": "Answered by a person, of all that wanted one: calls that got a place in a queue or were turned away from"
            " one. A call that is called back counts once, with the callback.",
            "zh": "由人工接通的通话占全部要求人工（已入队或未能入队）通话的比例。转为回呼的只随回呼计一次。",
        },
        formula="answered by a person / all that wanted one",
    ),
    _count(
        "self_served",
        "Self-served",
        "自助完成量",
        "Calls that came to the flow's own end without a queue.",
        "未进队列、由流程自行完成的通话。",
        good=Good.UP,
    ),
    Metric(
        name="self_service_share",
        amount=_of("self_served"),
        over=_of("inbound"),
        unit=Unit.SHARE,
        good=Good.UP,
        titles={"en": "Self-service share", "zh": "自助服务率"},
        texts={"en": "Share of inbound calls that the machine served.", "zh": "由自助流程完成的呼入比例。"},
        formula="self_served / inbound",
    ),
    _count(
        "menu_hang_ups",
        "Hung up in the menu",
        "菜单内挂断",
        "Callers who hung up before the flow had ended and before any queue.",
        "在流程结束和入队之前挂断的来电。",
    ),
    _count("voicemails", "Voicemails", "留言量", "Calls that ended with a message left.", "以留言结束的通话。"),
    _count(
        "overflowed",
        "Overflowed",
        "溢出量",
        "Calls that ended elsewhere than with our agents: a flow, an outside number, hung up on after a wait.",
        "最终转往流程、外部号码或等待后被挂断的通话。",
    ),
    _count(
        "rejected",
        "Rejected",
        "拒绝量",
        "Calls turned away at the door: to a number that is not the centre's, or hung up on because no queue would have them.",
        "在入口被拒的通话：所拨号码不属于本中心，或没有队列可进入而被挂断。",
        good=Good.DOWN,
    ),
    _count(
        "failed",
        "Failed",
        "失败量",
        "Calls that our side ended without serving them.",
        "由系统一方中断的通话。",
        good=Good.DOWN,
    ),
    _count(
        "survival_calls",
        "Carried without the bridge",
        "应急模式通话",
        "Calls the telephone system carried on by itself while the bridge was away.",
        "桥接程序不在时由电话系统自行处理的通话。",
    ),
    Metric(
        name="recorded_share",
        amount=_of("recorded"),
        over=_of("answered_calls"),
        unit=Unit.SHARE,
        titles={"en": "Recorded share", "zh": "录音率"},
        texts={"en": "Share of calls with a person that were recorded.", "zh": "人工通话中有录音的比例。"},
        formula="recorded / answered_calls",
    ),
    Metric(
        name="transfer_rate",
        amount=_of("transferred"),
        over=_of("answered_calls"),
        unit=Unit.SHARE,
        good=Good.DOWN,
        titles={"en": "Transferred", "zh": "转接率"},
        texts={
            "en": "Share of calls with a person that an agent sent on, at once or after asking.",
            "zh": "人工通话中被坐席转接（直接或咨询后）的比例。",
        },
        formula="calls sent on / answered_calls",
    ),
    Metric(
        name="first_contact_resolution",
        amount=_of("resolved"),
        over=_of("resolvable"),
        unit=Unit.SHARE,
        good=Good.UP,
        titles={"en": "First-contact resolution", "zh": "首次解决率"},
        texts={
            "en": "Inbound calls with a person that were not sent on and after which the same customer (or number) did not"
            " call the same queue again within 7 days. Withheld numbers are left out. Final after 7 days.",
            "zh": "未经转接、且同一客户（或号码）7 天内未再次呼入同一队列的人工呼入占比。隐藏号码不计。7 天后定值。",
        },
        formula="resolved / inbound calls with a person whose customer or number is known",
    ),
    Metric(
        name="repeat_rate",
        amount=_of("repeats"),
        over=_of("repeatable"),
        unit=Unit.SHARE,
        good=Good.DOWN,
        titles={"en": "Repeat calls", "zh": "重复来电率"},
        texts={
            "en": "Inbound calls to a queue by a customer (or number) who called the same queue in the 7 days before.",
            "zh": "7 天内同一客户（或号码）曾呼入同一队列的呼入占比。",
        },
        formula="repeat calls / inbound calls to a queue whose customer or number is known",
    ),
    _count(
        "callbacks_promised",
        "Callbacks promised",
        "承诺回呼量",
        "Callbacks that were asked for and are over, however they ended.",
        "已结束（无论结果）的回呼请求。",
    ),
    _count(
        "callbacks_kept",
        "Callbacks kept",
        "已履行回呼",
        "Callbacks in which an agent talked to the customer.",
        "坐席与客户实际通话的回呼。",
        good=Good.UP,
    ),
    _count(
        "callbacks_late",
        "Callbacks late",
        "迟到回呼",
        "Callbacks kept whose customer was first dialled later than the longest wait expected when it was asked for.",
        "首次拨打晚于请求时最长预计等待的已履行回呼。",
        good=Good.DOWN,
    ),
    Metric(
        name="callbacks_kept_share",
        amount=_of("callbacks_kept"),
        over=_of("callbacks_promised"),
        unit=Unit.SHARE,
        good=Good.UP,
        titles={"en": "Callbacks kept, share", "zh": "回呼履约率"},
        texts={"en": "Share of callbacks that were kept.", "zh": "已履行回呼占承诺回呼的比例。"},
        formula="callbacks_kept / callbacks_promised",
    ),
    Metric(
        name="csat",
        amount=_answer("rating_sum"),
        over=_answer("ratings"),
        unit=Unit.SCORE,
        good=Good.UP,
        titles={"en": "Satisfaction score (CSAT)", "zh": "满意度得分"},
        texts={
            "en": "Mean key pressed in questions of surveys, but those named nps or recommend.",
            "zh": "调查题按键得分的平均值（nps、recommend 题除外）。",
        },
        formula="sum of scores / answers",
    ),
    Metric(
        name="satisfaction_rate",
        amount=_answer("satisfied"),
        over=_answer("ratings"),
        unit=Unit.SHARE,
        good=Good.UP,
        titles={"en": "Satisfaction rate", "zh": "满意率"},
        texts={
            "en": "Share of those answers in the upper quarter of the question's scale: 4 and 5 of 1-5, 7 to 9 of 0-9.",
            "zh": "上述回答中位于量表上四分之一的比例：1-5 为 4、5，0-9 为 7 至 9。",
        },
        formula="answers in the upper quarter / answers",
    ),
    Metric(
        name="nps",
        amount=_answer("nps_net"),
        over=_answer("nps_answers"),
        unit=Unit.POINTS,
        good=Good.UP,
        titles={"en": "Net promoter score", "zh": "净推荐值"},
        texts={
            "en": "Questions named nps or recommend: share of the highest key, less share of 0-6 (of 1-5: of 1-3), times 100.",
            "zh": "名为 nps 或 recommend 的题：最高分比例减 0-6 分（1-5 量表为 1-3 分）比例，乘 100。",
        },
        formula="100 x (promoters - detractors) / answers",
    ),
    Metric(
        name="survey_answers",
        amount=_answer("answers"),
        titles={"en": "Survey answers", "zh": "调查回答数"},
        texts={"en": "Answers to questions of surveys.", "zh": "调查题的回答数。"},
        formula="count of answers",
    ),
    Metric(
        name="complaints",
        amount=Amount(grain=Grain.COMPLAINTS, name="complaints"),
        good=Good.DOWN,
        titles={"en": "Complaints", "zh": "投诉量"},
        texts={"en": "Complaints registered, whatever way they came.", "zh": "登记的投诉，不论来源。"},
        formula="count of complaints",
    ),
    Metric(
        name="complaint_rate",
        amount=Amount(grain=Grain.COMPLAINTS, name="complaints"),
        over=_of("calls"),
        unit=Unit.SHARE,
        good=Good.DOWN,
        titles={"en": "Complaint rate", "zh": "投诉率"},
        texts={"en": "Complaints registered over calls.", "zh": "登记的投诉与通话量之比。"},
        formula="complaints / calls",
    ),
)
