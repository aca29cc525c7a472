; Twin of band-40-26-8-4: the band is taken to end one earlier, at 764, and there the bit can be
; wrong.
; Rests elsewhere: that a protocol drops low bits of exactly these words (sign-*).
; Expected answer: sat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 40))
(declare-fun x2 () (_ BitVec 40))
(declare-fun x3 () (_ BitVec 40))
(declare-fun x4 () (_ BitVec 40))
(define-fun v () (_ BitVec 40) (bvadd x1 x2 x3 x4))
(define-fun ignored () (_ BitVec 40) (bvadd ((_ zero_extend 32) ((_ extract 7 0) x1)) ((_ zero_extend 32) ((_ extract 7 0) x2)) ((_ zero_extend 32) ((_ extract 7 0) x3)) ((_ zero_extend 32) ((_ extract 7 0) x4))))
(define-fun seen () (_ BitVec 40) (bvadd (bvsub x1 ((_ zero_extend 32) ((_ extract 7 0) x1))) (bvsub x2 ((_ zero_extend 32) ((_ extract 7 0) x2))) (bvsub x3 ((_ zero_extend 32) ((_ extract 7 0) x3))) (bvsub x4 ((_ zero_extend 32) ((_ extract 7 0) x4)))))
(assert (or (distinct seen (bvsub v ignored)) (bvugt ignored (_ bv1020 40)) (distinct ((_ extract 7 0) seen) (_ bv0 8)) (and (bvuge ((_ extract 24 0) v) (_ bv764 25)) (distinct ((_ extract 25 25) v) ((_ extract 25 25) seen)))))
(check-sat)
