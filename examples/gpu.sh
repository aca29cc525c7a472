#!/usr/bin/env bash
# Everything that is measured on a GPU: one folder to carry, one command there.
#
#   bash examples/gpu.sh pack FOLDER     # here, without a GPU: fills FOLDER; what is there already is kept
#   bash FOLDER/gpu.sh measure           # on the machine with the GPU, without a network; prints, and writes gpu.md and gpu.txt
#
# pack needs cargo (CARGO names another), chebyshare (CHEBYSHARE names it) and python3 with onnx and numpy (PYTHON). It
# tunes a plan for each of SHAPES, "resnet50 vgg16 bert-base" unless set, and deletes the models again, which `measure`
# makes once more, the same bytes; with CARRY=1 it keeps them, for a machine without python3, onnx and numpy. MINILM names
# a folder with minilm.onnx and sentences.npz (examples/minilm/export.py). CHEBYSHARE_CUDA_TOOLS names a folder with CUDA's
# compiler (runtime/tests/cuda/install): then all kernels are compiled for ARCHITECTURE, sm_90 unless set, which takes
# long and saves the time on the GPU. PROGRAM names a measuring program that is built already.
#
# measure writes to OUT, FOLDER unless set, and hands its other arguments to the program.
set -euo pipefail

shapes=${SHAPES:-resnet50 vgg16 bert-base}

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
    for name in $shapes; do
        if [ ! -f "$folder/models/$name.plan.toml" ]; then
            [ -f "$folder/models/$name.onnx" ] || make_shape "$name" "$folder/models"
            case $name in
            bert-base) tune "$name" --input-range=-8,8 --row-norm 32 --quick --max-error 10 --min-agreement 0 ;;
            *) tune "$name" --input-range 0,1 --quick --max-error 1 --min-agreement 0 ;;
            esac
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
        fi
    else
        echo "without MiniLM: MINILM names no folder" >&2
    fi
    if [ -n "${CHEBYSHARE_CUDA_TOOLS:-}" ]; then
        (cd "$folder" && ./gpu --compile "${ARCHITECTURE:-sm_90}" --kernels kernels --models models)
    else
        echo "without compiled kernels: CHEBYSHARE_CUDA_TOOLS names no folder; they are compiled on the GPU's machine" >&2
    fi
    du -sh "$folder"
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

measure() {
    here=$(cd "$(dirname "$0")" && pwd)
    cd "$here"
    local out=${OUT:-$here}
    for name in $shapes; do
        if [ -f "models/$name.plan.toml" ] && [ ! -f "models/$name.onnx" ]; then
            make_shape "$name" models || echo "NOT MADE: $name; python3 with onnx and numpy makes it" >&2 &
        fi
    done
    wait
    if [ -z "${CHEBYSHARE_CUDA_TOOLS:-}" ]; then
        CHEBYSHARE_CUDA_TOOLS=$(compiler)
        if [ -n "$CHEBYSHARE_CUDA_TOOLS" ]; then export CHEBYSHARE_CUDA_TOOLS; else unset CHEBYSHARE_CUDA_TOOLS; fi
    fi
    CHEBYSHARE_COMMIT=$(cat COMMIT) ./gpu --models models --kernels kernels --out "$out/gpu.md" "$@" 2>&1 | tee "$out/gpu.txt"
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
    sed -n '2,16p' "$0" >&2
    exit 2
    ;;
esac
