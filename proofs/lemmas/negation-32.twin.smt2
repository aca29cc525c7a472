; Twin of negation-32: the bit is not added after the xor.
; Expected answer: sat
(set-logic QF_BV)
(declare-fun word () (_ BitVec 32))
(declare-fun bit () (_ BitVec 1))
(define-fun top () (_ BitVec 32) ((_ zero_extend 31) bit))
(define-fun sign () (_ BitVec 32) (bvsub (_ bv1 32) (bvadd top top)))
(assert (distinct (bvmul sign word) (bvadd (bvxor word (bvneg top)) (_ bv0 32))))
(check-sat)
