; Dropping the 8 low bits of each of 3 words of Z_2^64 lowers their sum v by at most 3*(2^8-1) to a
; multiple of 2^8, and bit 31 of what is left is bit 31 of v unless v mod 2^31 < 510. The query asks
; for a counterexample.
; Rests elsewhere: that a protocol drops low bits of exactly these words (sign-*).
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 64))
(declare-fun x2 () (_ BitVec 64))
(declare-fun x3 () (_ BitVec 64))
(define-fun v () (_ BitVec 64) (bvadd x1 x2 x3))
(define-fun ignored () (_ BitVec 64) (bvadd ((_ zero_extend 56) ((_ extract 7 0) x1)) ((_ zero_extend 56) ((_ extract 7 0) x2)) ((_ zero_extend 56) ((_ extract 7 0) x3))))
(define-fun seen () (_ BitVec 64) (bvadd (bvsub x1 ((_ zero_extend 56) ((_ extract 7 0) x1))) (bvsub x2 ((_ zero_extend 56) ((_ extract 7 0) x2))) (bvsub x3 ((_ zero_extend 56) ((_ extract 7 0) x3)))))
(assert (or (distinct seen (bvsub v ignored)) (bvugt ignored (_ bv765 64)) (distinct ((_ extract 7 0) seen) (_ bv0 8)) (and (bvuge ((_ extract 30 0) v) (_ bv510 31)) (distinct ((_ extract 31 31) v) ((_ extract 31 31) seen)))))
(check-sat)
