; Twin of reshare-40: role 3 forgets the cross product x1 * y3, and the sum can be wrong.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: sat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 40))
(declare-fun x2 () (_ BitVec 40))
(declare-fun x3 () (_ BitVec 40))
(declare-fun y1 () (_ BitVec 40))
(declare-fun y2 () (_ BitVec 40))
(declare-fun y3 () (_ BitVec 40))
(declare-fun f1 () (_ BitVec 40))
(declare-fun f2 () (_ BitVec 40))
(declare-fun f3 () (_ BitVec 40))
; role i knows components i and i+1, and the streams fi and f(i+1)
(define-fun z1 () (_ BitVec 40) (bvadd (bvmul x1 (bvadd y1 y2)) (bvmul x2 y1) (bvsub f1 f2)))
(define-fun z2 () (_ BitVec 40) (bvadd (bvmul x2 (bvadd y2 y3)) (bvmul x3 y2) (bvsub f2 f3)))
(define-fun z3 () (_ BitVec 40) (bvadd (bvmul x3 (bvadd y3 y1)) (bvsub f3 f1)))
(assert (distinct (bvadd z1 z2 z3) (bvmul (bvadd x1 x2 x3) (bvadd y1 y2 y3))))
(check-sat)
