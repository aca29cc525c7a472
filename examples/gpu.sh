#!/usr/bin/env bash
# Everything that is measured on a GPU: one folder to carry, one command there.
#
#   bash examples/gpu.sh pack FOLDER     # here, without a GPU: fills FOLDER, and FOLDER.tar.gz; what is there is kept
#   bash FOLDER/gpu.sh measure PART...   # on the machine with the GPU, without a network; prints, and writes gpu.md and gpu.txt
#
# pack needs cargo (CARGO names another), chebyshare (CHEBYSHARE names it) and python3 with onnx and numpy (PYTHON). It
# tunes a plan for each of SHAPES, "resnet50 vgg16 bert-base" unless set, and deletes the models again, which `measure`
# makes once more, the same bytes; with CARRY=1 it keeps them, for a machine without python3, onnx and numpy. MINILM names
# a folder with minilm.onnx and sentences.npz (examples/minilm/export.py). CHEBYSHARE_CUDA_TOOLS names a folder with CUDA's
# compiler (runtime/tests/cuda/install): then all kernels are compiled for ARCHITECTURE, sm_90 unless set, which takes
# long and saves the time on the GPU. PROGRAM names a measuring program that is built already.
#
# measure takes one part after the other, each a process of its own: how a table's title begins, or a model, all of
# them unless some are named. A part has LIMIT seconds, 300 unless set, and all have TIME seconds, 570 unless set, in which
# what is left of them is cut off or not begun, which is said; what was measured by then is written. It writes to OUT,
# FOLDER unless set, never over an earlier gpu.md, and hands what begins with - , and what follows, to the program. It ends
# with the exit code of the first part that failed.
set -euo pipefail

shapes=${SHAPES:-resnet50 vgg16 bert-base}
parts="what products element softmax digits_cnn digits_vit minilm $shapes"

took() { # WHAT
    echo "$1: $((SECONDS - began)) s"
    began=$SECONDS
}

make_shape() { # NAME FOLDER
    case $1 in
    bert-base) "${PYTHON:-python3}" "$here/shapes/make.py" bert-base "$2" --padding 0 ;;
    *) "${PYTHON:-python3}" "$here/shapes/make.py" "$1" "$2" ;;
    esac
}

tune() { # NAME OPTION...
    local name=$1
    shift
    "${CHEBYSHARE:-chebyshare}" --catalog catalogs tune "$folder/models/$name.onnx" \
        --calibration "$folder/models/$name.npz" --batch 1 --simulate 1 "$@" --out "$folder/models/$name.plan.toml"
}

pack() {
    here=$(cd "$(dirname "$0")" && pwd)
    began=$SECONDS
    mkdir -p "$1/models" "$1/kernels" "$1/examples"
    folder=$(cd "$1" && pwd)
    cd "$here/.."
    if [ -z "${PROGRAM:-}" ]; then
        PROGRAM=$("${CARGO:-cargo}" bench -p runtime --bench gpu --no-run --message-format=json |
            sed -n 's/.*"target":{[^}]*"name":"gpu".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
    fi
    cp "$PROGRAM" "$folder/gpu"
    strip "$folder/gpu" 2> /dev/null || true
    rm -rf "$folder/catalogs" "$folder/proofs" "$folder/examples" "$folder/shapes"
    mkdir -p "$folder/examples"
    cp -r catalogs proofs examples/shapes "$folder/"
    cp -r examples/models examples/plans "$folder/examples/"
    cp examples/gpu.sh "$folder/gpu.sh"
    { git rev-parse HEAD && git diff --quiet HEAD || echo "with changes"; } 2> /dev/null | paste -sd' ' > "$folder/COMMIT" || true
    took "the measuring program"
    for name in $shapes; do
        if [ ! -f "$folder/models/$name.plan.toml" ]; then
            [ -f "$folder/models/$name.onnx" ] || make_shape "$name" "$folder/models"
            case $name in
            bert-base) tune "$name" --input-range=-8,8 --row-norm 32 --quick --max-error 10 --min-agreement 0 ;;
            *) tune "$name" --input-range 0,1 --quick --max-error 1 --min-agreement 0 ;;
            esac
            took "a plan for $name, by --quick and one simulation: its formats are not explored, its weights are random"
        fi
        if [ -n "${CARRY:-}" ]; then
            [ -f "$folder/models/$name.onnx" ] || make_shape "$name" "$folder/models"
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
    if ldconfig -p 2> /dev/null | grep -q 'libnvrtc\.so\.13'; then
        return
    fi
    local wheels
    wheels=$("${PYTHON:-python3}" -c 'import nvidia; print(list(nvidia.__path__)[0])' 2> /dev/null || true)
    for place in "${CUDA_HOME:-}" "${CUDA_PATH:-}" "$wheels" /usr/local/cuda; do
        if [ -n "$place" ] && [ -n "$(find -L "$place" -maxdepth 6 -name 'libnvrtc.so.13*' -print -quit 2> /dev/null)" ]; then
            echo "$place"
            return
        fi
    done
    return 0
}

# Makes the models of the parts that are wanted.
make_models() { # PART...
    for name in $shapes; do
        case " $* " in
        *" $name "* | *" models "*)
            if [ -f "models/$name.plan.toml" ] && [ ! -f "models/$name.onnx" ]; then
                make_shape "$name" models || echo "NOT MADE: $name; python3 with onnx and numpy makes it" >&2 &
            fi
            ;;
        esac
    done
    wait
}

one_by_one() { # REPORT PART... -- OPTION...
    local report=$1 wanted=() part code left first=0
    shift
    while [ "$1" != -- ]; do
        wanted+=("$1")
        shift
    done
    shift
    make_models "${wanted[@]}"
    for part in "${wanted[@]}"; do
        left=$((${TIME:-570} - SECONDS))
        left=$((left < ${LIMIT:-300} ? left : ${LIMIT:-300}))
        if [ "$left" -lt 10 ]; then
            printf '\nNOT RUN: %s: no time was left\n' "$part" | tee -a "$report.md"
            first=$((first ? first : 124))
            continue
        fi
        code=0
        timeout "$left" ./gpu --models models --kernels kernels --only "$part" --out "$report.md" --append "$@" || code=$?
        first=$((first ? first : code))
        if [ "$code" -ne 0 ] && ! grep -q '^| agreement | ' "$report.md" 2> /dev/null; then
            return "$code"
        elif [ "$code" -ne 0 ]; then
            printf '\nNOT RUN: the rest of %s: exit code %s within %s seconds (124: cut off)\n' "$part" "$code" "$left" |
                tee -a "$report.md"
        fi
        echo "$part: $SECONDS s since the start"
    done
    return "$first"
}

measure() {
    local wanted=() report number=2
    here=$(cd "$(dirname "$0")" && pwd)
    cd "$here"
    while [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; do
        wanted+=("$1")
        shift
    done
    if [ ${#wanted[@]} -eq 0 ]; then read -ra wanted <<< "$parts"; fi
    report=${OUT:-$here}/gpu
    while [ -e "$report.md" ]; do
        report=${OUT:-$here}/gpu-$number
        number=$((number + 1))
    done
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
    pack "${2:?"bash examples/gpu.sh pack FOLDER"}"
    ;;
measure)
    shift
    measure "$@"
    ;;
*)
    sed -n '2,20p' "$0" >&2
    exit 2
    ;;
esac
