; Twin of band-64-32-8-1: a second word is dropped from, with the band of one.
; Rests elsewhere: that a protocol drops low bits of exactly these words (sign-*).
; Expected answer: sat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 64))
(declare-fun x2 () (_ BitVec 64))
(define-fun v () (_ BitVec 64) (bvadd x1 x2))
(define-fun ignored () (_ BitVec 64) (bvadd ((_ zero_extend 56) ((_ extract 7 0) x1)) ((_ zero_extend 56) ((_ extract 7 0) x2))))
(define-fun seen () (_ BitVec 64) (bvadd (bvsub x1 ((_ zero_extend 56) ((_ extract 7 0) x1))) (bvsub x2 ((_ zero_extend 56) ((_ extract 7 0) x2)))))
(assert (or (distinct seen (bvsub v ignored)) (bvugt ignored (_ bv510 64)) (distinct ((_ extract 7 0) seen) (_ bv0 8)) (and (bvuge ((_ extract 30 0) v) (_ bv0 31)) (distinct ((_ extract 31 31) v) ((_ extract 31 31) seen)))))
(check-sat)
