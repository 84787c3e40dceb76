import asyncio
import time

from cti.metrics.loop_lag import watch_loop_lag
from cti.metrics.registry import Metrics


def test_every_figure_has_a_help_text_and_our_prefix():
    families = list(Metrics().registry.collect())
    assert len(families) >= 15
    for family in families:
        assert family.name.startswith("cti_")
        assert family.documentation.endswith(".")


def test_two_processes_in_one_interpreter_do_not_share_figures():
    one, two = Metrics(), Metrics()
    one.calls.labels(outcome="answered").inc()
    assert b'cti_calls_total{outcome="answered"} 1.0' in one.render()
    assert b"answered" not in two.render()


def test_a_state_nobody_is_in_disappears():
    metrics = Metrics()
    metrics.show_floor(waiting={"support": 2}, agents={"ready": 1}, calls={}, connected=True)
    metrics.show_floor(waiting={"support": 0}, agents={"talking": 1}, calls={"talking": 1}, connected=False)
    text = metrics.render().decode()
    assert 'cti_queue_waiting{queue="support"} 0.0' in text
    assert 'cti_agents{state="talking"} 1.0' in text
    assert "ready" not in text
    assert "cti_link_up 0.0" in text


async def test_the_loops_lag_is_observed():
    metrics = Metrics()
    task = asyncio.create_task(watch_loop_lag(metrics, every=0.001))
    async with asyncio.timeout(60):
        while not metrics.registry.get_sample_value("cti_loop_lag_seconds_count"):  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_of_a_late_loop_what_this_process_computed_is_told_apart():
    metrics = Metrics()
    task = asyncio.create_task(watch_loop_lag(metrics, every=0.001))
    await asyncio.sleep(0)
    await asyncio.sleep(0)  # its timer is set now
    computed = time.process_time()
    while time.process_time() < computed + 0.06:
        pass
    async with asyncio.timeout(60):
        while not metrics.registry.get_sample_value("cti_loop_held_seconds_count"):  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    late = metrics.registry.get_sample_value("cti_loop_lag_seconds_sum")
    held = metrics.registry.get_sample_value("cti_loop_held_seconds_sum")
    assert late is not None
    assert held is not None
    assert 0.05 < held <= late


async def test_a_loop_that_waited_for_the_machine_was_not_held():
    metrics = Metrics()
    task = asyncio.create_task(watch_loop_lag(metrics, every=0.001))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    time.sleep(0.06)  # noqa: ASYNC251 - what is tested: the process gets no processor
    async with asyncio.timeout(60):
        while not metrics.registry.get_sample_value("cti_loop_held_seconds_count"):  # noqa: ASYNC110
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    late = metrics.registry.get_sample_value("cti_loop_lag_seconds_sum")
    held = metrics.registry.get_sample_value("cti_loop_held_seconds_sum")
    assert late is not None
    assert held is not None
    assert held < late / 2
