"""Every kind of fact by its name on disk. The order is the order in which facts of one moment are read."""

from __future__ import annotations

from cti.model import alert_facts, quality_facts, recording_facts, supervision_facts, toll_facts
from cti.model import facts as f
from cti.model.fact import Fact

FACT_TYPES: dict[str, type[Fact]] = {
    cls.__name__: cls
    for cls in (
        f.CallStarted, f.FlowEntered, f.FlowStepDone, f.FlowFinished, f.LanguageChosen, f.CustomerMatched, f.CallQueued, f.CallDequeued,
        f.OfferMade, f.OfferRang, f.OfferEnded, f.CallAnswered, f.CallHeld, f.CallRetrieved, f.TalkEnded, f.RecordingStarted,
        f.SurvivalEntered, f.VoicemailLeft, f.CallEnded, f.WrapUpEnded, f.AgentChanged, f.BridgeStarted,
        f.PriorityChanged, f.Decided, f.WaitPromised, f.CallbackAsked, f.CallbackDialled, f.CallbackReached, f.CallbackFailed, f.CallSentOut,
        f.OfferDeclined, f.WrapUpExtended, f.CentreApplied, f.BreachRepaired, f.MessageRecorded, f.SurveyAnswered, f.TransferFailed, f.DataAttached,
        f.CallTransferred, f.CallCameBack, f.CallPickedUp, f.ConsultStarted, f.ConsultRang, f.ConsultAnswered, f.ConsultEnded, f.PartyJoined,
        f.PartyLeft, f.DialAsked, f.FarSideCalled, f.FarSideRang, f.DialFailed, f.AgentTroubled, f.CallQuality,
        *supervision_facts.FACTS, *recording_facts.FACTS, *quality_facts.FACTS, *alert_facts.FACTS, *toll_facts.FACTS,
    )
}  # fmt: skip
"""Name on disk -> class. Names are for ever: a renamed fact keeps its old name here."""
