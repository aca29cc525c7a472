; Twin of band-64-32-8-3: the band is taken to end one earlier, at 509, and there the bit can be
; wrong.
; Rests elsewhere: that a protocol drops low bits of exactly these words (sign-*).
; Expected answer: sat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 64))
(declare-fun x2 () (_ BitVec 64))
(declare-fun x3 () (_ BitVec 64))
(define-fun v () (_ BitVec 64) (bvadd x1 x2 x3))
(define-fun ignored () (_ BitVec 64) (bvadd ((_ zero_extend 56) ((_ extract 7 0) x1)) ((_ zero_extend 56) ((_ extract 7 0) x2)) ((_ zero_extend 56) ((_ extract 7 0) x3))))
(define-fun seen () (_ BitVec 64) (bvadd (bvsub x1 ((_ zero_extend 56) ((_ extract 7 0) x1))) (bvsub x2 ((_ zero_extend 56) ((_ extract 7 0) x2))) (bvsub x3 ((_ zero_extend 56) ((_ extract 7 0) x3)))))
(assert (or (distinct seen (bvsub v ignored)) (bvugt ignored (_ bv765 64)) (distinct ((_ extract 7 0) seen) (_ bv0 8)) (and (bvuge ((_ extract 30 0) v) (_ bv509 31)) (distinct ((_ extract 31 31) v) ((_ extract 31 31) seen)))))
(check-sat)
