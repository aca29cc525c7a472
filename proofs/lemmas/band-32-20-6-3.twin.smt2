; Twin of band-32-20-6-3: the band is taken to end one earlier, at 125, and there the bit can be
; wrong.
; Rests elsewhere: that a protocol drops low bits of exactly these words (sign-*).
; Expected answer: sat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 32))
(declare-fun x2 () (_ BitVec 32))
(declare-fun x3 () (_ BitVec 32))
(define-fun v () (_ BitVec 32) (bvadd x1 x2 x3))
(define-fun ignored () (_ BitVec 32) (bvadd ((_ zero_extend 26) ((_ extract 5 0) x1)) ((_ zero_extend 26) ((_ extract 5 0) x2)) ((_ zero_extend 26) ((_ extract 5 0) x3))))
(define-fun seen () (_ BitVec 32) (bvadd (bvsub x1 ((_ zero_extend 26) ((_ extract 5 0) x1))) (bvsub x2 ((_ zero_extend 26) ((_ extract 5 0) x2))) (bvsub x3 ((_ zero_extend 26) ((_ extract 5 0) x3)))))
(assert (or (distinct seen (bvsub v ignored)) (bvugt ignored (_ bv189 32)) (distinct ((_ extract 5 0) seen) (_ bv0 6)) (and (bvuge ((_ extract 18 0) v) (_ bv125 19)) (distinct ((_ extract 19 19) v) ((_ extract 19 19) seen)))))
(check-sat)
