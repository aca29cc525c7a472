; Twin of sign-and: role 3 forgets the cross product x1 & y3, and the result can be wrong.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: sat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 1))
(declare-fun x2 () (_ BitVec 1))
(declare-fun x3 () (_ BitVec 1))
(declare-fun y1 () (_ BitVec 1))
(declare-fun y2 () (_ BitVec 1))
(declare-fun y3 () (_ BitVec 1))
(declare-fun f1 () (_ BitVec 1))
(declare-fun f2 () (_ BitVec 1))
(declare-fun f3 () (_ BitVec 1))
(define-fun z1 () (_ BitVec 1) (bvxor (bvand x1 (bvxor y1 y2)) (bvand x2 y1) f1 f2))
(define-fun z2 () (_ BitVec 1) (bvxor (bvand x2 (bvxor y2 y3)) (bvand x3 y2) f2 f3))
(define-fun z3 () (_ BitVec 1) (bvxor (bvand x3 (bvxor y3 y1)) f3 f1))
(assert (distinct (bvxor z1 z2 z3) (bvand (bvxor x1 x2 x3) (bvxor y1 y2 y3))))
(check-sat)
