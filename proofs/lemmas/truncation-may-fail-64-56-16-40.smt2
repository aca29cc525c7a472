; One-round truncation by 16 bits from Z_2^64 into Z_2^56 that may fail: for every z with -2^40 <= z
; < 2^40 (signed) and every mask rho, the result is floor(z / 2^16) + delta modulo 2^56 with delta
; in 0..=1 if and only if rho < 2^64 - (z + 2^40). The query asks for a counterexample to either
; direction. Hence exactly z + 2^40 of the 2^64 masks fail, fewer than 2^41: for a uniform mask the
; failure probability is below 2^-23.
; Rests elsewhere: that the mask is uniform and independent of z. No shipped protocol executes this.
; Expected answer: unsat
(set-logic QF_BV)
(declare-fun z () (_ BitVec 64))
(declare-fun rho () (_ BitVec 64))
(define-fun raised () (_ BitVec 64) (bvadd z (_ bv1099511627776 64)))
; one round: raised + rho is opened; whoever knows rho shifts it
(define-fun opened () (_ BitVec 64) (bvadd raised rho))
(define-fun y () (_ BitVec 56) (bvsub (bvsub ((_ zero_extend 8) ((_ extract 63 16) opened)) ((_ zero_extend 8) ((_ extract 63 16) rho))) (_ bv16777216 56)))
(define-fun floor () (_ BitVec 56) ((_ extract 55 0) (bvashr z (_ bv16 64))))
(define-fun wrong () (_ BitVec 1) (ite (and (distinct y floor) (distinct y (bvadd floor (_ bv1 56)))) #b1 #b0))
; the masks from 2^k - raised on: exactly `raised` of them
(define-fun wraps () (_ BitVec 1) (ite (and (distinct raised (_ bv0 64)) (bvuge rho (bvneg raised))) #b1 #b0))
(assert (bvsge z (_ bv18446742974197923840 64)))
(assert (bvslt z (_ bv1099511627776 64)))
(assert (distinct wrong wraps))
(check-sat)
