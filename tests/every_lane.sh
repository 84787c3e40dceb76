#!/bin/sh
# Every test, one lane after another (`make test`). The exit code is 1 when anything failed. Arguments go to every pytest.
#
# Those beside each other measure no times, those in pairs some; those alone all. Every lane runs, whatever the one before it said.
# What only computes (the types, and tests that look at no clock) goes beside all of them but the last and gets the time that none of
# them wants, a quarter of a machine while calls are held; Asterisk, prompts and a database are prepared beside the pure ones.
set -u
mkdir -p .build
rm -f .build/tests-*.xml .build/types.* .build/computing.*
failed=0

lane() {
    name=$1
    shift
    echo "== $name"
    python -m pytest --tb=short "$@" --junit-xml=".build/tests-$name.xml" || failed=1
}

idle="nice -n 19"
chrt --idle 0 true 2>/dev/null && idle="chrt --idle 0"
computing() {
    trap 'kill $running; exit 143' TERM
    $idle mypy >.build/types.txt 2>&1 &
    running=$!
    wait $running
    echo $? >.build/types.code
    # Its time-out is for a test that never ends: one that is interrupted for minutes is none.
    $idle python -m pytest -q --tb=short -p no:cacheprovider -m "computing and not real" --timeout=1500 "$@" \
        --junit-xml=.build/tests-computing.xml >.build/computing.txt 2>&1 &
    running=$!
    wait $running
    echo $? >.build/computing.code
}

ended_well() { # or not yet; what it said otherwise
    [ "$(cat ".build/$1.code" 2>/dev/null || echo 0)" = 0 ] && return 0
    cat ".build/$1.txt"
    return 1
}

ruff check . && ruff format --check . || exit 1
python -m tests.support.prepare &
preparing=$!
computing "$@" &
computing=$!
trap 'kill $preparing $computing 2>/dev/null; exit 130' INT TERM

lane pure -n 2 -m "not real and not computing" "$@"
wait $preparing
ended_well types || { kill $computing; exit 1; }
# A fourth at the same time would save two of twenty minutes, and leave no processor free for whoever needs one at once.
lane beside -n 3 --dist loadfile --no-loadscope-reorder -m "real and beside" "$@"
lane real -n 2 --dist loadfile --no-loadscope-reorder -m "real and not beside and not alone" "$@"
echo "== types, and what only computes"
wait $computing
ended_well types && cat .build/types.txt || failed=1
ended_well computing && tail -n 1 .build/computing.txt || failed=1
lane alone -m "real and alone" "$@"
python tests/total.py .build/tests-pure.xml .build/tests-computing.xml .build/tests-beside.xml .build/tests-real.xml .build/tests-alone.xml || failed=1
exit $failed
