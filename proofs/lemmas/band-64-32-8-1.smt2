; Dropping the 8 low bits of each of 1 words of Z_2^64 lowers their sum v by at most 1*(2^8-1) to a
; multiple of 2^8, and bit 31 of what is left is bit 31 of v unless v mod 2^31 < 0. The query asks
; for a counterexample.
; Rests elsewhere: that a protocol drops low bits of exactly these words (sign-*).
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 64))
(define-fun v () (_ BitVec 64) x1)
(define-fun ignored () (_ BitVec 64) ((_ zero_extend 56) ((_ extract 7 0) x1)))
(define-fun seen () (_ BitVec 64) (bvsub x1 ((_ zero_extend 56) ((_ extract 7 0) x1))))
(assert (or (distinct seen (bvsub v ignored)) (bvugt ignored (_ bv255 64)) (distinct ((_ extract 7 0) seen) (_ bv0 8)) (and (bvuge ((_ extract 30 0) v) (_ bv0 31)) (distinct ((_ extract 31 31) v) ((_ extract 31 31) seen)))))
(check-sat)
