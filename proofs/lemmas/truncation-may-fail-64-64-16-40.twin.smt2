; Twin of truncation-may-fail-64-64-16-40: one mask fewer is said to fail.
; Rests elsewhere: that the mask is uniform and independent of z. No shipped protocol executes this.
; Expected answer: sat
(set-logic QF_BV)
(declare-fun z () (_ BitVec 64))
(declare-fun rho () (_ BitVec 64))
(define-fun raised () (_ BitVec 64) (bvadd z (_ bv1099511627776 64)))
; one round: raised + rho is opened; whoever knows rho shifts it
(define-fun opened () (_ BitVec 64) (bvadd raised rho))
(define-fun y () (_ BitVec 64) (bvsub (bvsub ((_ zero_extend 16) ((_ extract 63 16) opened)) ((_ zero_extend 16) ((_ extract 63 16) rho))) (_ bv16777216 64)))
(define-fun floor () (_ BitVec 64) ((_ extract 63 0) (bvashr z (_ bv16 64))))
(define-fun wrong () (_ BitVec 1) (ite (and (distinct y floor) (distinct y (bvadd floor (_ bv1 64)))) #b1 #b0))
; the masks from 2^k - raised on: exactly `raised` of them
(define-fun wraps () (_ BitVec 1) (ite (and (distinct raised (_ bv0 64)) (bvuge rho (bvadd (bvneg raised) (_ bv1 64)))) #b1 #b0))
(assert (bvsge z (_ bv18446742974197923840 64)))
(assert (bvslt z (_ bv1099511627776 64)))
(assert (distinct wrong wraps))
(check-sat)
