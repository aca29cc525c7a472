; Conditional negation in Z_2^32: (word xor -top) + top is (1 - 2 top) word, for a bit top and all
; words. The query asks for a counterexample. The two-round truncation is stated with the product.
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun word () (_ BitVec 32))
(declare-fun bit () (_ BitVec 1))
(define-fun top () (_ BitVec 32) ((_ zero_extend 31) bit))
(define-fun sign () (_ BitVec 32) (bvsub (_ bv1 32) (bvadd top top)))
(assert (distinct (bvmul sign word) (bvadd (bvxor word (bvneg top)) top)))
(check-sat)
