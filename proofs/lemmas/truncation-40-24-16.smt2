; One-round truncation by 16 bits from Z_2^40 into Z_2^24: for every z, every sharing and all masks,
; the shares of the result sum to floor(z / 2^16) + delta modulo 2^24 with delta in 0..=1; only 40
; bits are opened. The query asks for a counterexample.
; Roles: P1 and P2 open c = z' + rho under the masks r13 and r23 that they share with P3; P3 knows
; rho; y3 is a stream of P2 and P3.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun z () (_ BitVec 40))
(declare-fun rho () (_ BitVec 40))
(declare-fun z2 () (_ BitVec 40))
(declare-fun r13 () (_ BitVec 40))
(declare-fun r23 () (_ BitVec 40))
(declare-fun y3 () (_ BitVec 40))
; the components, and what role 3 knows
(define-fun z3 () (_ BitVec 40) (bvsub (bvadd r13 r23) rho))
(define-fun z1 () (_ BitVec 40) (bvsub (bvsub z z2) z3))
(define-fun mask () (_ BitVec 40) (bvsub (bvadd r13 r23) z3))
; round 1: role 1 to role 2, role 2 to role 1
(define-fun sent12 () (_ BitVec 40) (bvadd z1 r13))
(define-fun sent21 () (_ BitVec 40) (bvadd z2 r23))
(define-fun c () (_ BitVec 40) (bvadd sent12 sent21))
; only the low bits of what is opened are sent; role 3 to role 1: y1
(define-fun sent () (_ BitVec 40) ((_ extract 39 0) c))
(define-fun known () (_ BitVec 40) ((_ extract 39 0) mask))
(define-fun result3 () (_ BitVec 24) ((_ extract 23 0) y3))
(define-fun result1 () (_ BitVec 24) (bvsub (bvneg ((_ extract 39 16) known)) result3))
(define-fun result2 () (_ BitVec 24) ((_ extract 39 16) sent))
(define-fun y () (_ BitVec 24) (bvadd result1 result2 result3))
(define-fun floor () (_ BitVec 24) ((_ extract 23 0) (bvashr z (_ bv16 40))))
(assert (distinct y (bvadd floor (_ bv0 24))))
(assert (distinct y (bvadd floor (_ bv1 24))))
(check-sat)
