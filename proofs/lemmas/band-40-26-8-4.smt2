; Dropping the 8 low bits of each of 4 words of Z_2^40 lowers their sum v by at most 4*(2^8-1) to a
; multiple of 2^8, and bit 25 of what is left is bit 25 of v unless v mod 2^25 < 765. The query asks
; for a counterexample.
; Rests elsewhere: that a protocol drops low bits of exactly these words (sign-*).
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 40))
(declare-fun x2 () (_ BitVec 40))
(declare-fun x3 () (_ BitVec 40))
(declare-fun x4 () (_ BitVec 40))
(define-fun v () (_ BitVec 40) (bvadd x1 x2 x3 x4))
(define-fun ignored () (_ BitVec 40) (bvadd ((_ zero_extend 32) ((_ extract 7 0) x1)) ((_ zero_extend 32) ((_ extract 7 0) x2)) ((_ zero_extend 32) ((_ extract 7 0) x3)) ((_ zero_extend 32) ((_ extract 7 0) x4))))
(define-fun seen () (_ BitVec 40) (bvadd (bvsub x1 ((_ zero_extend 32) ((_ extract 7 0) x1))) (bvsub x2 ((_ zero_extend 32) ((_ extract 7 0) x2))) (bvsub x3 ((_ zero_extend 32) ((_ extract 7 0) x3))) (bvsub x4 ((_ zero_extend 32) ((_ extract 7 0) x4)))))
(assert (or (distinct seen (bvsub v ignored)) (bvugt ignored (_ bv1020 40)) (distinct ((_ extract 7 0) seen) (_ bv0 8)) (and (bvuge ((_ extract 24 0) v) (_ bv765 25)) (distinct ((_ extract 25 25) v) ((_ extract 25 25) seen)))))
(check-sat)
