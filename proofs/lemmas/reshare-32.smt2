; Reshared product in Z_2^32: the local parts z1, z2, z3 of the three roles, each masked by the
; difference of two streams, sum to the product of the shared values, for all shares and streams.
; The query asks for a counterexample. Sums of products follow by adding such parts.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun x1 () (_ BitVec 32))
(declare-fun x2 () (_ BitVec 32))
(declare-fun x3 () (_ BitVec 32))
(declare-fun y1 () (_ BitVec 32))
(declare-fun y2 () (_ BitVec 32))
(declare-fun y3 () (_ BitVec 32))
(declare-fun f1 () (_ BitVec 32))
(declare-fun f2 () (_ BitVec 32))
(declare-fun f3 () (_ BitVec 32))
; role i knows components i and i+1, and the streams fi and f(i+1)
(define-fun z1 () (_ BitVec 32) (bvadd (bvmul x1 (bvadd y1 y2)) (bvmul x2 y1) (bvsub f1 f2)))
(define-fun z2 () (_ BitVec 32) (bvadd (bvmul x2 (bvadd y2 y3)) (bvmul x3 y2) (bvsub f2 f3)))
(define-fun z3 () (_ BitVec 32) (bvadd (bvmul x3 (bvadd y3 y1)) (bvmul x1 y3) (bvsub f3 f1)))
(assert (distinct (bvadd z1 z2 z3) (bvmul (bvadd x1 x2 x3) (bvadd y1 y2 y3))))
(check-sat)
