; Twin of truncation-40-20-16: the same with the rounding 1 struck from the set, which does occur.
; Roles: P1 and P2 open c = z' + rho under the masks r13 and r23 that they share with P3; P3 knows
; rho; y3 is a stream of P2 and P3.
; Rests elsewhere: that the code computes these expressions is tied by exhaustive runs of the
; protocol on small rings; that its messages reveal nothing is argued in SECURITY.md and enumerated.
; Expected answer: sat
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
(define-fun sent () (_ BitVec 36) ((_ extract 35 0) c))
(define-fun known () (_ BitVec 36) ((_ extract 35 0) mask))
(define-fun result3 () (_ BitVec 20) ((_ extract 19 0) y3))
(define-fun result1 () (_ BitVec 20) (bvsub (bvneg ((_ extract 35 16) known)) result3))
(define-fun result2 () (_ BitVec 20) ((_ extract 35 16) sent))
(define-fun y () (_ BitVec 20) (bvadd result1 result2 result3))
(define-fun floor () (_ BitVec 20) ((_ extract 19 0) (bvashr z (_ bv16 40))))
(assert (distinct y (bvadd floor (_ bv0 20))))
(check-sat)
