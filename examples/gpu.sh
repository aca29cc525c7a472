#!/usr/bin/env bash
# Everything that is measured on a GPU: one folder to carry, one command there.
#
#   bash examples/gpu.sh pack FOLDER     # here, without a GPU: fills FOLDER, and FOLDER.tar.gz; what was made is kept
#   bash FOLDER/gpu.sh measure PART...   # where the GPU is, without a network; prints, and writes gpu.md and gpu.txt
#
# pack takes a new folder, or one that it packed before. It needs cargo (CARGO names another), chebyshare (CHEBYSHARE
# names it) and python3 with onnx and numpy (PYTHON). It tunes a plan for each of SHAPES, "resnet50 vgg16 bert-base"
# unless set, and deletes the models again, which `measure` makes once more, the same bytes; with CARRY=1 it keeps them,
# for a machine without python3, onnx and numpy. MINILM names a folder with minilm.onnx and sentences.npz
# (examples/minilm/export.py). CHEBYSHARE_CUDA_TOOLS names a folder with CUDA's compiler (runtime/tests/cuda/install):
# then all kernels are compiled for ARCHITECTURE, sm_90 unless set, which takes long and saves the time on the GPU.
# PROGRAM names a measuring program that is built already.
#
# measure takes one part after the other, each a process of its own: the first word of a table's title, or a model, all
# of them unless some are named. A part has LIMIT seconds, 300 unless set, and all have TIME seconds, 570 unless set, in
# which what is left of them is cut off or not begun, which is said; what was measured by then is written. It writes to
# OUT, FOLDER unless set, never over an earlier gpu.md, and hands what begins with - , and what follows, to the program.
# It ends with the exit code of the first part that failed, and with 2 where what it was asked for cannot be begun.
set -euo pipefail

shapes=${SHAPES-resnet50 vgg16 bert-base}
parts="what products element softmax digits_cnn digits_vit minilm $shapes"

refuse() { # WHY
    echo "error: $1" >&2
    exit 2
}

# Programs and folders are those of where this was started: it works in others.
absolute() { # VARIABLE...
    local name
    for name in "$@"; do
        if [ -n "${!name:-}" ]; then printf -v "$name" %s "$(realpath -ms -- "${!name}")"; fi
    done
}

took() { # WHAT
    echo "$1: $((SECONDS - began)) s"
    began=$SECONDS
}

# A model with its inputs, which come last: whole, or not at all.
make_shape() { # NAME FOLDER
    local part=$2/$1.part options=()
    if [ "$1" = bert-base ]; then options=(--padding 0); fi
    rm -rf "$part"
    "${PYTHON:-python3}" "$here/shapes/make.py" "$1" "$part" ${options[@]+"${options[@]}"} &&
        mv "$part/$1.onnx" "$part/$1.npz" "$2/" && rmdir "$part"
}

need_shape() { # NAME
    if [ ! -f "$folder/models/$1.npz" ]; then
        make_shape "$1" "$folder/models" || refuse "$1 was not made: PYTHON has to name a python3 with onnx and numpy"
    fi
}

tune() { # NAME OPTION...
    local name=$1
    shift
    command -v "${CHEBYSHARE:-chebyshare}" > /dev/null || refuse "$name wants a plan: CHEBYSHARE has to name chebyshare"
    "${CHEBYSHARE:-chebyshare}" --catalog catalogs tune "$folder/models/$name.onnx" \
        --calibration "$folder/models/$name.npz" --batch 1 --simulate 1 "$@" --out "$folder/models/$name.plan.toml"
}

# A folder of somebody else's is left as it is: what is packed takes the place of what has its name.
make_folder() { # FOLDER
    if [ -e "$1" ] && [ ! -f "$1/COMMIT" ] && [ -n "$(ls -A "$1")" ]; then
        refuse "$1 holds something else: name a new folder, or one that was packed before"
    fi
    mkdir -p "$1/models" "$1/kernels" || refuse "$1 cannot be made"
    folder=$(cd "$1" && pwd)
}

pack() {
    local commit name
    here=$(cd "$(dirname "$0")" && pwd)
    [ -f "$here/../Cargo.toml" ] || refuse "$here was packed; only the repository's examples/gpu.sh packs"
    absolute PROGRAM MINILM CHEBYSHARE_CUDA_TOOLS
    case ${CHEBYSHARE:-} in */*) absolute CHEBYSHARE ;; esac
    case ${PYTHON:-} in */*) absolute PYTHON ;; esac
    case ${CARGO:-} in */*) absolute CARGO ;; esac
    if [ -n "${PROGRAM:-}" ] && { [ ! -f "$PROGRAM" ] || [ ! -x "$PROGRAM" ]; }; then
        refuse "PROGRAM: $PROGRAM is no program"
    fi
    for name in ${MINILM:+minilm.onnx sentences.npz}; do
        [ -f "$MINILM/$name" ] || refuse "MINILM: $MINILM has no $name (examples/minilm/export.py makes it)"
    done
    began=$SECONDS
    make_folder "$1"
    cd "$here/.."
    commit=$(git rev-parse HEAD 2> /dev/null) || commit=unknown
    [ "$commit" = unknown ] || git diff --quiet HEAD 2> /dev/null || commit="$commit with changes"
    echo "$commit" > "$folder/COMMIT"
    if [ -z "${PROGRAM:-}" ]; then
        PROGRAM=$("${CARGO:-cargo}" bench -p runtime --bench gpu --no-run --message-format=json |
            sed -n 's/.*"target":{[^}]*"name":"gpu".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
        [ -n "$PROGRAM" ] || refuse "cargo did not say where the measuring program is; name it by PROGRAM"
    fi
    cp "$PROGRAM" "$folder/gpu"
    strip "$folder/gpu" 2> /dev/null || true
    rm -rf "$folder/catalogs" "$folder/proofs" "$folder/examples" "$folder/shapes"
    mkdir -p "$folder/examples"
    cp -r catalogs proofs examples/shapes "$folder/"
    cp -r examples/models examples/plans "$folder/examples/"
    cp examples/gpu.sh "$folder/gpu.sh"
    took "the measuring program"
    for name in $shapes; do
        if [ ! -f "$folder/models/$name.plan.toml" ]; then
            need_shape "$name"
            case $name in
            bert-base) tune "$name" --input-range=-8,8 --row-norm 32 --quick --max-error 10 --min-agreement 0 ;;
            *) tune "$name" --input-range 0,1 --quick --max-error 1 --min-agreement 0 ;;
            esac
            took "a plan for $name, by --quick and one simulation: its formats are not explored, its weights are random"
        fi
        if [ -n "${CARRY:-}" ]; then
            need_shape "$name"
        else
            rm -f "$folder/models/$name.onnx" "$folder/models/$name.npz"
        fi
    done
    if [ -n "${MINILM:-}" ]; then
        cp "$MINILM/minilm.onnx" "$folder/models/minilm.onnx"
        cp "$MINILM/sentences.npz" "$folder/models/minilm.npz"
        if [ ! -f "$folder/models/minilm.plan.toml" ]; then
            tune minilm --axis tokens=32 --public mask=0 --input-range=-8,8 --row-norm 18 --network lan --max-error 0.01
            took "a plan for minilm"
        fi
    else
        echo "without MiniLM: MINILM names no folder" >&2
    fi
    if [ -n "${CHEBYSHARE_CUDA_TOOLS:-}" ]; then
        (cd "$folder" && ./gpu --compile "${ARCHITECTURE:-sm_90}" --kernels kernels --models models)
        took "kernels for ${ARCHITECTURE:-sm_90}"
    else
        echo "without compiled kernels: CHEBYSHARE_CUDA_TOOLS names no folder; they are compiled on the GPU's machine" >&2
    fi
    du -sh "$folder"/*
    du -sh "$folder"
    # Machine code is a quarter of its size then.
    tar -C "$(dirname "$folder")" -czf "$folder.tar.gz" "$(basename "$folder")"
    echo "to carry: $folder.tar.gz, $(stat -c %s "$folder.tar.gz") bytes"
}

# The folder of CUDA's compiler, where the loader does not know it.
compiler() {
    # All of it is read: ldconfig must not fail because nobody listens any more.
    if ldconfig -p 2> /dev/null | grep 'libnvrtc\.so\.13' > /dev/null; then
        return
    fi
    local wheels found
    wheels=$("${PYTHON:-python3}" -c 'import nvidia; print(list(nvidia.__path__)[0])' 2> /dev/null || true)
    for place in "$wheels" "${CUDA_HOME:-}" "${CUDA_PATH:-}" /usr/local/cuda; do
        [ -n "$place" ] || continue
        found=$(find -L "$place" -maxdepth 6 -name 'libnvrtc.so.13*' -print -quit 2> /dev/null || true)
        if [ -n "$found" ]; then
            # Its own folder: beside it there may be other versions.
            dirname "$found"
            return
        fi
    done
    return 0
}

# Makes the models of the parts that are wanted.
make_models() { # PART...
    local name
    for name in $shapes; do
        case " $* " in
        *" $name "* | *" models "*)
            if [ -f "models/$name.plan.toml" ] && [ ! -f "models/$name.npz" ]; then
                make_shape "$name" models || echo "NOT MADE: $name; python3 with onnx and numpy makes it" >&2 &
            fi
            ;;
        esac
    done
    wait
}

not_run() { # REPORT WHAT
    printf '\nNOT RUN: %s\n' "$2" | tee -a "$1.md"
}

one_by_one() { # REPORT PART... -- OPTION...
    local report=$1 wanted=() part code left since first=0 cut_off="124 or 137: cut off"
    shift
    while [ "$1" != -- ]; do
        wanted+=("$1")
        shift
    done
    shift
    make_models "${wanted[@]}"
    for part in "${wanted[@]}"; do
        since=$SECONDS
        left=$((time - since < limit ? time - since : limit))
        if [ "$left" -lt 1 ]; then
            not_run "$report" "$part: no time was left"
            first=$((first ? first : 124))
            continue
        fi
        code=0
        # A driver that hangs may not let a program end that is asked to.
        timeout -k 2 "$left" \
            ./gpu --models models --kernels kernels --only "$part" --out "$report.md" --append "$@" || code=$?
        first=$((first ? first : code))
        if [ "$code" -ne 0 ]; then
            not_run "$report" "the rest of $part: exit code $code after $((SECONDS - since)) of $left seconds ($cut_off)"
        fi
        # Without a GPU, or with one that computes something else, no other part can be measured.
        if { [ "$code" -eq 1 ] || [ "$code" -eq 2 ]; } && ! grep -q '^| agreement | ' "$report.md"; then
            not_run "$report" "what comes after $part"
            return "$code"
        fi
        echo "$part: $SECONDS s since the start"
    done
    return "$first"
}

# What PARTs, OPTIONs and the environment ask for, or why it cannot be.
check_wanted() { # PART...
    local name known=" $parts models resnet50 vgg16 bert-base "
    for name in "$@"; do
        case $known in
        *" $name "*) ;;
        *) refuse "'$name' is no part; the parts are: $parts" ;;
        esac
    done
    for name in LIMIT TIME; do
        case ${!name-1} in
        *[!0-9]* | '') refuse "$name='${!name}' is no number of seconds" ;;
        esac
    done
}

measure() {
    local wanted=() report number=2 limit time
    here=$(cd "$(dirname "$0")" && pwd)
    if [ ! -f "$here/COMMIT" ] || [ ! -x "$here/gpu" ]; then
        refuse "$here was not packed: bash examples/gpu.sh pack FOLDER, then bash FOLDER/gpu.sh measure"
    fi
    absolute OUT CHEBYSHARE_CUDA_TOOLS
    case ${PYTHON:-} in */*) absolute PYTHON ;; esac
    OUT=${OUT:-$here}
    cd "$here"
    while [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; do
        wanted+=("$1")
        shift
    done
    if [ ${#wanted[@]} -eq 0 ]; then read -ra wanted <<< "$parts"; fi
    check_wanted "${wanted[@]}"
    limit=$((10#${LIMIT:-300})) time=$((10#${TIME:-570}))
    mkdir -p "$OUT" 2> /dev/null || refuse "OUT: $OUT cannot be made"
    report=$OUT/gpu
    while [ -e "$report.md" ] || [ -e "$report.txt" ]; do
        report=$OUT/gpu-$number
        number=$((number + 1))
    done
    : > "$report.md" || refuse "OUT: nothing can be written to $OUT"
    if [ -z "${CHEBYSHARE_CUDA_TOOLS:-}" ]; then
        CHEBYSHARE_CUDA_TOOLS=$(compiler)
        if [ -n "$CHEBYSHARE_CUDA_TOOLS" ]; then export CHEBYSHARE_CUDA_TOOLS; else unset CHEBYSHARE_CUDA_TOOLS; fi
    fi
    CHEBYSHARE_COMMIT=$(cat COMMIT)
    export CHEBYSHARE_COMMIT
    one_by_one "$report" "${wanted[@]}" -- "$@" 2>&1 | tee "$report.txt"
}

case ${1:-} in
pack)
    [ -n "${2:-}" ] || refuse "pack wants a folder: bash examples/gpu.sh pack FOLDER"
    pack "$2"
    ;;
measure)
    shift
    measure "$@"
    ;;
*)
    sed -n '2,/^set /{/^#/p}' "$0" >&2
    exit 2
    ;;
esac
