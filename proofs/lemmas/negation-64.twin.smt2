; Twin of negation-64: the bit is not added after the xor.
; Expected answer: sat
(set-logic QF_BV)
(declare-fun word () (_ BitVec 64))
(declare-fun bit () (_ BitVec 1))
(define-fun top () (_ BitVec 64) ((_ zero_extend 63) bit))
(define-fun sign () (_ BitVec 64) (bvsub (_ bv1 64) (bvadd top top)))
(assert (distinct (bvmul sign word) (bvadd (bvxor word (bvneg top)) (_ bv0 64))))
(check-sat)
