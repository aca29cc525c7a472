; Dropping the 6 low bits of each of 4 words of Z_2^32 lowers their sum v by at most 4*(2^6-1) to a
; multiple of 2^6, and bit 19 of what is left is bit 19 of v unless v mod 2^19 < 189. The query asks
; for a counterexample.
; Rests elsewhere: that a protocol drops low bits of exactly these words (sign-*).
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 32))
(declare-fun x2 () (_ BitVec 32))
(declare-fun x3 () (_ BitVec 32))
(declare-fun x4 () (_ BitVec 32))
(define-fun v () (_ BitVec 32) (bvadd x1 x2 x3 x4))
(define-fun ignored () (_ BitVec 32) (bvadd ((_ zero_extend 26) ((_ extract 5 0) x1)) ((_ zero_extend 26) ((_ extract 5 0) x2)) ((_ zero_extend 26) ((_ extract 5 0) x3)) ((_ zero_extend 26) ((_ extract 5 0) x4))))
(define-fun seen () (_ BitVec 32) (bvadd (bvsub x1 ((_ zero_extend 26) ((_ extract 5 0) x1))) (bvsub x2 ((_ zero_extend 26) ((_ extract 5 0) x2))) (bvsub x3 ((_ zero_extend 26) ((_ extract 5 0) x3))) (bvsub x4 ((_ zero_extend 26) ((_ extract 5 0) x4)))))
(assert (or (distinct seen (bvsub v ignored)) (bvugt ignored (_ bv252 32)) (distinct ((_ extract 5 0) seen) (_ bv0 6)) (and (bvuge ((_ extract 18 0) v) (_ bv189 19)) (distinct ((_ extract 19 19) v) ((_ extract 19 19) seen)))))
(check-sat)
