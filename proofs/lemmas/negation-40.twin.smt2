; Twin of negation-40: the bit is not added after the xor.
; Expected answer: sat
(set-logic QF_BV)
(declare-fun word () (_ BitVec 40))
(declare-fun bit () (_ BitVec 1))
(define-fun top () (_ BitVec 40) ((_ zero_extend 39) bit))
(define-fun sign () (_ BitVec 40) (bvsub (_ bv1 40) (bvadd top top)))
(assert (distinct (bvmul sign word) (bvadd (bvxor word (bvneg top)) (_ bv0 40))))
(check-sat)
