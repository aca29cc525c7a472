#!/bin/sh
# Tuned plans beside other ways, on five models under LAN and WAN: a table (.txt, and printed), a page with a picture
# (.html) and an object for machines (.json) each.
#
#   sh examples/beside.sh OUT [RUNS]
#
# DEMAND says what a plan has to keep: `error` (by default), outputs within 0.01 of the plain model's (0.02
# for LeNet, 0.05 for BERT), or `answers`, the answer of every calibration input with probabilities within 0.1 and logits
# within 0.2, and a cosine of 0.999 where a model gives no answers. OUT has to hold minilm.onnx and sentences.npz
# (`examples/minilm/export.py`) and, in OUT/bert, bert-base.onnx and bert-base.npz (`examples/shapes/make.py bert-base
# OUT/bert --layers 2 --padding 0 --inputs 4`). RUNS is 5 by default; 0 predicts only. CHEBYSHARE names the program, MODELS and
# NETWORKS take fewer. SIDE_BY_SIDE, 1 by default, is how many runs of a session may be executed side by side. Let nothing
# else run on the machine meanwhile.
set -eu
out=${1:?"sh examples/beside.sh OUT [RUNS]"}
runs=${2:-5}
program=${CHEBYSHARE:-chebyshare}
demand=${DEMAND:-error}
together=${SIDE_BY_SIDE:-1}

case $demand in
error | answers) ;;
*)
    echo "there is no demand $demand: error or answers" >&2
    exit 2
    ;;
esac

mkdir -p "$out"

# What is asked: $1 where errors count, $2 where answers do.
asked() { if [ "$demand" = error ]; then echo "$1"; else echo "$2"; fi; }

beside() {
    name=$1 catalog=$2
    shift 2
    for network in ${NETWORKS:-lan wan}; do
        echo "$name under $network, $demand" >&2
        file=$out/$name.$network.$demand
        [ "$together" = 1 ] || file=$file.$together
        "$program" --catalog "$catalog" bench tuner "$@" --weight-bits auto --network "$network" --runs "$runs" \
            --side-by-side "$together" --out "$file.html,$file.json,$file.txt" 2> "$file.log" ||
            {
                ended=$?
                tail -n 3 "$file.log" >&2
                exit "$ended"
            }
        echo
    done
}

probabilities="--min-agreement 1 --max-error 0.1"
logits="--min-agreement 1 --max-error 0.2"
# Demands are words of options.
# shellcheck disable=SC2046
for model in ${MODELS:-digits_cnn digits_vit lenet minilm bert}; do
    case $model in
    digits_cnn | digits_vit)
        case $model in digits_cnn) answers=$probabilities ;; *) answers=$logits ;; esac
        beside "$model" catalogs "examples/models/$model.onnx" --calibration examples/models/digits_calibration.npz \
            --input examples/models/digits_test.npz --fraction-bits auto $(asked "--max-error 0.01" "$answers")
        ;;
    lenet)
        beside lenet examples/lenet/catalogs examples/lenet/lenet.onnx --calibration examples/lenet/calibration.npz \
            --input examples/lenet/test.npz --batch 60 --input-range 0,1 --ring-bits 40 --fraction-bits 13 \
            $(asked "--max-error 0.02" "$logits")
        ;;
    minilm)
        beside minilm catalogs "$out/minilm.onnx" --axis tokens=32 --public mask=0 --calibration "$out/sentences.npz" \
            --input "$out/sentences.npz" --fraction-bits auto --batch 1 --simulate 2 --input-range=-8,8 --row-norm 18 \
            $(asked "--max-error 0.01" "--min-cosine 0.999") --simulations 12
        ;;
    bert)
        beside bert catalogs "$out/bert/bert-base.onnx" --calibration "$out/bert/bert-base.npz" \
            --input "$out/bert/bert-base.npz" --fraction-bits auto --batch 1 --simulate 1 --input-range=-8,8 --row-norm 32 \
            $(asked "--max-error 0.05" "--min-cosine 0.999") --simulations 12 \
            --caption "2 of BERT-base's 12 layers on 128 tokens, with seeded random weights: the shapes are real, the answers mean nothing"
        ;;
    *)
        echo "there is no model $model" >&2
        exit 2
        ;;
    esac
done
