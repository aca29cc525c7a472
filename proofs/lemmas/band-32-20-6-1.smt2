; Dropping the 6 low bits of each of 1 words of Z_2^32 lowers their sum v by at most 1*(2^6-1) to a
; multiple of 2^6, and bit 19 of what is left is bit 19 of v unless v mod 2^19 < 0. The query asks
; for a counterexample.
; Rests elsewhere: that a protocol drops low bits of exactly these words (sign-*).
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 32))
(define-fun v () (_ BitVec 32) x1)
(define-fun ignored () (_ BitVec 32) ((_ zero_extend 26) ((_ extract 5 0) x1)))
(define-fun seen () (_ BitVec 32) (bvsub x1 ((_ zero_extend 26) ((_ extract 5 0) x1))))
(assert (or (distinct seen (bvsub v ignored)) (bvugt ignored (_ bv63 32)) (distinct ((_ extract 5 0) seen) (_ bv0 6)) (and (bvuge ((_ extract 18 0) v) (_ bv0 19)) (distinct ((_ extract 19 19) v) ((_ extract 19 19) seen)))))
(check-sat)
