"""The form that a new centre begins with. It can be copied, changed and archived like any other."""

from __future__ import annotations

from typing import Any

EXAMPLE: dict[str, Any] = {
    "titles": {"en": "Service call", "zh": "服务通话"},
    "passing": 80,
    "sections": [
        {
            "name": "opening",
            "titles": {"en": "Opening", "zh": "开场"},
            "weight": 15,
            "items": [
                {
                    "name": "greeting",
                    "titles": {"en": "Greets with name and company", "zh": "问候并自报公司和姓名"},
                    "kind": "yes_no",
                    "may_not_apply": False,
                },
                {
                    "name": "identity",
                    "titles": {
                        "en": "Checks who is calling before telling anything personal",
                        "zh": "透露个人信息前核实来电者身份",
                    },
                    "kind": "yes_no",
                    "weight": 2,
                    "fatal": "section",
                    "hint": {
                        "en": "Does not apply when nothing personal was told.",
                        "zh": "未涉及个人信息时选“不适用”。",
                    },
                },
            ],
        },
        {
            "name": "understanding",
            "titles": {"en": "Understanding", "zh": "理解需求"},
            "weight": 25,
            "items": [
                {
                    "name": "listening",
                    "titles": {"en": "Listens and does not interrupt", "zh": "耐心倾听，不打断"},
                    "kind": "scale",
                    "least": 1,
                    "most": 5,
                    "may_not_apply": False,
                },
                {
                    "name": "questions",
                    "titles": {"en": "Asks what is needed and sums it up", "zh": "提问到位并复述确认"},
                    "kind": "scale",
                    "least": 1,
                    "most": 5,
                },
            ],
        },
        {
            "name": "solution",
            "titles": {"en": "Solution", "zh": "解决问题"},
            "weight": 35,
            "items": [
                {
                    "name": "correct",
                    "titles": {"en": "What is said is right", "zh": "信息准确"},
                    "kind": "choice",
                    "weight": 2,
                    "may_not_apply": False,
                    "choices": [
                        {"name": "right", "titles": {"en": "Right and complete", "zh": "准确完整"}, "share": 1},
                        {
                            "name": "incomplete",
                            "titles": {"en": "Right, something missing", "zh": "准确但不完整"},
                            "share": 0.6,
                        },
                        {"name": "wrong", "titles": {"en": "Wrong", "zh": "有误"}, "share": 0},
                    ],
                },
                {
                    "name": "solved",
                    "titles": {"en": "Solves it, or says who will and when", "zh": "当场解决，或说明由谁何时解决"},
                    "kind": "scale",
                    "least": 1,
                    "most": 5,
                    "weight": 2,
                },
                {
                    "name": "hold",
                    "titles": {
                        "en": "Asks before holding and comes back in time",
                        "zh": "保持通话前征得同意并及时返回",
                    },
                    "kind": "yes_no",
                    "hint": {"en": "Does not apply when the caller was not on hold.", "zh": "未使用保持时选“不适用”。"},
                },
            ],
        },
        {
            "name": "manner",
            "titles": {"en": "Manner", "zh": "服务态度"},
            "weight": 15,
            "items": [
                {
                    "name": "friendly",
                    "titles": {"en": "Friendly and patient", "zh": "友好耐心"},
                    "kind": "scale",
                    "least": 1,
                    "most": 5,
                    "may_not_apply": False,
                },
                {
                    "name": "respect",
                    "titles": {"en": "Respects the caller", "zh": "尊重来电者"},
                    "kind": "yes_no",
                    "may_not_apply": False,
                    "fatal": "form",
                    "hint": {
                        "en": "No: insults, shouting, hanging up on the caller.",
                        "zh": "选“否”：辱骂、吼叫、挂断来电者。",
                    },
                },
            ],
        },
        {
            "name": "closing",
            "titles": {"en": "Closing", "zh": "结束"},
            "weight": 10,
            "items": [
                {
                    "name": "summary",
                    "titles": {"en": "Sums up what happens next", "zh": "总结后续事项"},
                    "kind": "yes_no",
                },
                {
                    "name": "farewell",
                    "titles": {"en": "Asks for more and says goodbye", "zh": "询问其他需要并道别"},
                    "kind": "yes_no",
                    "may_not_apply": False,
                },
            ],
        },
    ],
}
"""As JSON, like the forms that supervisors design."""
