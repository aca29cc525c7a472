; Dropping the 6 low bits of each of 2 words of Z_2^32 lowers their sum v by at most 2*(2^6-1) to a
; multiple of 2^6, and bit 19 of what is left is bit 19 of v unless v mod 2^19 < 63. The query asks
; for a counterexample.
; Rests elsewhere: that a protocol drops low bits of exactly these words (sign-*).
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 32))
(declare-fun x2 () (_ BitVec 32))
(define-fun v () (_ BitVec 32) (bvadd x1 x2))
(define-fun ignored () (_ BitVec 32) (bvadd ((_ zero_extend 26) ((_ extract 5 0) x1)) ((_ zero_extend 26) ((_ extract 5 0) x2))))
(define-fun seen () (_ BitVec 32) (bvadd (bvsub x1 ((_ zero_extend 26) ((_ extract 5 0) x1))) (bvsub x2 ((_ zero_extend 26) ((_ extract 5 0) x2)))))
(assert (or (distinct seen (bvsub v ignored)) (bvugt ignored (_ bv126 32)) (distinct ((_ extract 5 0) seen) (_ bv0 6)) (and (bvuge ((_ extract 18 0) v) (_ bv63 19)) (distinct ((_ extract 19 19) v) ((_ extract 19 19) seen)))))
(check-sat)
