"""The words of files and mails in the languages of the pages. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime

from cti.ids import AgentId, QueueName
from cti.model.centre import Centre
from cti.reports.metric import Dimension

LANGUAGES = ("en", "zh")

_WORDS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "report": "Report", "period": "Period", "zone": "Time zone", "filters": "Only", "of_queues": "Of these queues only", "compare": "Compared with",
        "version": "Definitions, version", "made": "Made", "whole": "All", "before": "before", "unfinished": "Not finished: figures still move",
        "definitions": "Definitions", "figure": "Figure", "definition": "Definition", "formula": "Formula", "seconds": "seconds",
        "cut": "The first {shown} of {rows} rows; CSV and XLSX hold all.", "page": "Page {page}", "yes": "yes",
        "mail": "The report “{name}” is attached.", "mail_made": "{centre}, {period}.",
        "automatic": "This mail was sent by the contact centre's server by schedule.",
        "team_day": "The day", "scored_calls": "Scored calls", "mean_score": "Mean score", "praise": "Praise", "look_at": "To look at",
        "look_fatal": "Fatal item failed", "look_low_survey": "Low survey score", "look_review": "Review asked for",
        "look_overdue": "Overdue for scoring", "look_low_mean": "Low mean of four weeks",
    },
    "zh": {
        "report": "报表", "period": "时间", "zone": "时区", "filters": "仅限", "of_queues": "仅含以下队列", "compare": "对比", "version": "定义版本", "made": "生成时间",
        "whole": "合计", "before": "之前", "unfinished": "尚未结束，数字仍会变化", "definitions": "定义", "figure": "指标", "definition": "定义",
        "formula": "公式", "seconds": "秒", "cut": "共 {rows} 行，此处为前 {shown} 行；CSV 与 XLSX 含全部。", "page": "第 {page} 页", "yes": "是",
        "mail": "附件为报表“{name}”。", "mail_made": "{centre}，{period}。", "automatic": "本邮件由呼叫中心服务器按计划发送。",
        "team_day": "每日汇总", "scored_calls": "已评分通话", "mean_score": "平均分", "praise": "表扬", "look_at": "需要关注",
        "look_fatal": "致命项不合格", "look_low_survey": "调查低分", "look_review": "申请复核", "look_overdue": "逾期未评分",
        "look_low_mean": "四周均分偏低",
    },
}  # fmt: skip
_DIMENSIONS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "queue": "Queue", "agent": "Agent", "team": "Team", "tier": "Tier", "did": "Number", "direction": "Direction", "outcome": "Outcome",
        "flow_version": "Flow version", "state": "State", "reason": "Reason", "half_hour": "Half hour", "hour": "Hour", "day": "Day",
        "week": "Week", "month": "Month", "weekday_hour": "Weekday and hour",
    },
    "zh": {
        "queue": "队列", "agent": "坐席", "team": "班组", "tier": "客户等级", "did": "被叫号码", "direction": "方向", "outcome": "结果",
        "flow_version": "流程版本", "state": "状态", "reason": "原因", "half_hour": "半小时", "hour": "小时", "day": "日", "week": "周",
        "month": "月", "weekday_hour": "星期与小时",
    },
}  # fmt: skip
_VIEWS: Mapping[str, Mapping[str, str]] = {
    "en": {
        "today": "Today", "queues": "Queues", "agents": "Agents", "half_hours": "Half hours", "trends": "Trends", "week_map": "Week map",
        "waits": "Waits", "menus": "Menus", "callbacks": "Callbacks", "surveys": "Surveys", "complaints": "Complaints", "team_day": "The day",
    },
    "zh": {
        "today": "今日", "queues": "队列", "agents": "坐席", "half_hours": "半小时", "trends": "趋势", "week_map": "周热力图", "waits": "等待",
        "menus": "菜单", "callbacks": "回呼", "surveys": "满意度调查", "complaints": "投诉", "team_day": "每日汇总",
    },
}  # fmt: skip
_COMPARE = {
    "en": {"week_before": "the week before", "previous": "the time before"},
    "zh": {"week_before": "上一周同日", "previous": "上一时段"},
}
_WEEKDAYS = {
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}


def word(language: str, name: str, /, **values: object) -> str:
    """A word or sentence."""
    return _WORDS[language][name].format(**values)


def view_title(language: str, view: str) -> str:
    """The name of a view of the page."""
    return _VIEWS[language].get(view, word(language, "report"))


def dimension_title(language: str, dimension: Dimension) -> str:
    """What rows are divided by."""
    return _DIMENSIONS[language][dimension.value]


def compared(language: str, compare: str) -> str:
    """With what it is compared."""
    return _COMPARE[language][compare]


def titled(language: str, titles: Mapping[str, str], fallback: str) -> str:
    """A name in this language, or the nearest there is."""
    return titles.get(language) or titles.get("en") or next(iter(titles.values()), fallback)


def day_text(language: str, day: date) -> str:
    """A day with its weekday."""
    return f"{day.isoformat()} {_WEEKDAYS[language][day.weekday()]}"


def key_text(language: str, centre: Centre, dimension: Dimension, key: str | None) -> str:
    """A key of a row in words: queues and agents by name, times readable."""
    if key is None:
        return "–"
    match dimension:
        case Dimension.QUEUE:
            queue = centre.queues.get(QueueName(key))
            return titled(language, queue.titles, key) if queue else key
        case Dimension.AGENT:
            agent = centre.agents.get(AgentId(key))
            return f"{agent.name} ({key})" if agent else key
        case Dimension.HALF_HOUR | Dimension.HOUR:
            moment = datetime.fromisoformat(key)
            return f"{day_text(language, moment.date())} {moment:%H:%M}"
        case Dimension.DAY:
            return day_text(language, date.fromisoformat(key))
        case Dimension.WEEKDAY_HOUR:
            weekday, hour = key.split("-")
            return f"{_WEEKDAYS[language][int(weekday) - 1]} {hour}:00"
        case _:
            return key
