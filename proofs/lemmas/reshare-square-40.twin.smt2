; Twin of reshare-square-40: role 3 takes the cross product once, and the sum can be wrong.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: sat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 40))
(declare-fun x2 () (_ BitVec 40))
(declare-fun x3 () (_ BitVec 40))
(declare-fun f1 () (_ BitVec 40))
(declare-fun f2 () (_ BitVec 40))
(declare-fun f3 () (_ BitVec 40))
(define-fun z1 () (_ BitVec 40) (bvadd (bvmul x1 (bvadd x1 (bvadd x2 x2))) (bvsub f1 f2)))
(define-fun z2 () (_ BitVec 40) (bvadd (bvmul x2 (bvadd x2 (bvadd x3 x3))) (bvsub f2 f3)))
(define-fun z3 () (_ BitVec 40) (bvadd (bvmul x3 (bvadd x3 x1)) (bvsub f3 f1)))
(assert (distinct (bvadd z1 z2 z3) (bvmul (bvadd x1 x2 x3) (bvadd x1 x2 x3))))
(check-sat)
